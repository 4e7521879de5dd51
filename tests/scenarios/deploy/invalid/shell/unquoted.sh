#!/bin/sh
for file in $(ls $1); do rm $file; done
