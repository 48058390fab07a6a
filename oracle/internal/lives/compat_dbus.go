//go:build !k137

package lives

type dbusClose interface{}
