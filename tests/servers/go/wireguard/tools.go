//go:build tools

// Package tools keeps the requirement of the program that tests build.
package tools

import _ "golang.zx2c4.com/wireguard/device"
