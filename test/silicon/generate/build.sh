#!/bin/sh
# Builds the generator. Position independent, so that it lies above 4 GiB: below it nothing but the windows is mapped.
set -e
cd "$(dirname "$0")"
gcc -std=gnu11 -O1 -g -mno-red-zone -Wall -Wextra -fno-stack-protector -fcf-protection=none -static-pie -fPIE \
  -o "${1:-/tmp/silicon-generate}" ./*.c
