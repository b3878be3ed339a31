// Rescue reads the ranges of streams again that Lambda gave up, and archives
// their records before the stream drops them.
package main

import (
	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/functions/rescue"
)

func main() { app.Run(rescue.Setup) }
