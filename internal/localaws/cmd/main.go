// Command cmd is what the Makefile calls to run the local AWS.
//
//	up            start the local AWS, or find it running
//	down          stop it
//	deploy        start it if need be, build the functions, deploy the stack, print its outputs
//	status        say whether it runs and what is deployed
//	env           print the settings for AWS clients, for a shell to evaluate
//	exec CMD …    run a command with these settings
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spillway-go/spillway/internal/localaws"
)

const stackName = "spillway"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	checkout, err := localaws.Open(nil)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return errors.New("say what to do: up, down, deploy, status, env or exec")
	}
	switch args[0] {
	case "up":
		_, err := checkout.Up(ctx, localaws.Server{})
		return err
	case "down":
		return checkout.Down()
	case "deploy":
		return deploy(ctx, checkout)
	case "status":
		return status(ctx, checkout)
	case "env":
		return env(ctx, checkout)
	case "exec":
		return execute(ctx, checkout, args[1:])
	default:
		return fmt.Errorf("%q is not one of up, down, deploy, status, env and exec", args[0])
	}
}

func deploy(ctx context.Context, checkout *localaws.Checkout) error {
	instance, err := checkout.Up(ctx, localaws.Server{})
	if err != nil {
		return err
	}
	if err := checkout.Build(ctx); err != nil {
		return err
	}
	_, err = checkout.DeployIfChanged(ctx, instance, stackName)
	return err
}

func status(ctx context.Context, checkout *localaws.Checkout) error {
	instance, err := checkout.Find(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%-20s %s\n%-20s %d\n%-20s %s\n", "endpoint", instance.Endpoint, "pid", instance.PID, "log", instance.Log)
	outputs, err := localaws.Outputs(ctx, instance.Endpoint, stackName)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		fmt.Printf("%-20s %s\n", name, outputs[name])
	}
	return nil
}

func env(ctx context.Context, checkout *localaws.Checkout) error {
	instance, err := checkout.Find(ctx)
	if err != nil {
		return err
	}
	fmt.Println("export " + strings.Join(localaws.Env(instance.Endpoint), " "))
	return nil
}

// execute replaces this process, so that signals and the exit status are the command's own.
func execute(ctx context.Context, checkout *localaws.Checkout, command []string) error {
	if len(command) == 0 {
		return errors.New("say which command to run")
	}
	instance, err := checkout.Find(ctx)
	if err != nil {
		return err
	}
	file, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(file, command, localaws.Environ(instance.Endpoint))
}
