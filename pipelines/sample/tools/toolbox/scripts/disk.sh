#!/bin/sh
# Prints the file systems that are more than 80 % full.
df -P | awk 'NR > 1 && $5 + 0 > 80 { print $6, $5 }'
