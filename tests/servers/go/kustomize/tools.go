//go:build tools

// Package tools keeps the requirement of the program that tests build.
package tools

import _ "sigs.k8s.io/kustomize/kustomize/v5"
