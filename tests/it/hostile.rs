//! Hostile repositories, images and archives: each costs itself an honest error and nobody else anything.

mod archives;
mod images;
mod repository;
