#!/bin/sh
# Builds the generator. Its own text, data and heap stay above 256 MiB: the windows of the vectors lie below 64 MiB.
set -e
cd "$(dirname "$0")"
gcc -std=gnu11 -O1 -g -mno-red-zone -Wall -Wextra -fno-stack-protector -fcf-protection=none -static -no-pie \
  -Wl,-Ttext-segment=0x10000000 -o "${1:-/tmp/silicon-generate}" ./*.c
