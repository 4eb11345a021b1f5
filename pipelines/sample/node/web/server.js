// Merges the settings of a site; old dependencies, on purpose.
const defaults = require("lodash/defaults");
const ini = require("ini");

module.exports = (text) => defaults(ini.parse(text), { language: "en" });
