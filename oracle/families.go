package main

// The families register themselves.
import (
	_ "podinit.dev/oracle/internal/functions"
	_ "podinit.dev/oracle/internal/lives"
)
