#!/bin/sh
echo "# pipx: not yet"
