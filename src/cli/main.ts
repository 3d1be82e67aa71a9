#!/usr/bin/env node
console.log("x2vm");
