//go:build !linux

package sqldb

import "os"

// beginToWriteBack does nothing where there is no way to: the sync does it all.
func beginToWriteBack(*os.File, int64, int64) error { return nil }

// leaveMemory does nothing where there is no way to.
func leaveMemory(*os.File) {}
