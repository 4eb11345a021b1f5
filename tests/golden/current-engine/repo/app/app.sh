#!/bin/sh
cat /asset.txt
