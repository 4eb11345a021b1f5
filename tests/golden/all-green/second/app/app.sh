#!/bin/sh
# changed
cat /asset.txt
