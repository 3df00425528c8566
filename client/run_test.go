package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"strongroom/client"
	"strongroom/internal/influxd"
	"strongroom/internal/influxd/command"
)

// TestMain runs the examples against a server of their own, which the variables that they read name.
func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// operator is who set the server up.
var operator *client.Client

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "client")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, stop := context.WithCancel(context.Background())
	listening, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- influxd.Run(ctx, command.Process{
			Args:   []string{"--http-bind-address=127.0.0.1:0", "--bolt-path=" + filepath.Join(dir, "influxd.bolt")},
			Env:    []string{"HOME=" + dir},
			Stdout: io.Discard, Stderr: io.Discard,
			Listening: func(url string) { listening <- url },
		})
	}()
	defer func() {
		stop()
		<-done
	}()
	select {
	case host := <-listening:
		if err := setUp(ctx, host); err != nil {
			log.Print(err)
			return 1
		}
	case err := <-done:
		done <- err
		log.Print(err)
		return 1
	}
	return m.Run()
}

func setUp(ctx context.Context, host string) error {
	open, err := client.New(client.Config{Host: host})
	if err != nil {
		return err
	}
	made, err := open.Setup(ctx, client.SetupRequest{Username: "admin", Password: "a long password", Org: "my-org",
		Bucket: "b"})
	if err != nil {
		return err
	}
	if operator, err = client.New(client.Config{Host: host, Token: made.Auth.Token}); err != nil {
		return err
	}
	use, err := operator.CreateAuthorization(ctx, client.NewAuthorization{OrgID: made.Org.ID,
		Permissions: []client.Permission{
			{Action: "use", Resource: client.Resource{Type: "secrets", OrgID: made.Org.ID}}}})
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"INFLUX_HOST": host, "INFLUX_TOKEN": made.Auth.Token,
		"INFLUX_USE_TOKEN": use.Token, "INFLUX_ORG_ID": made.Org.ID, "DB_PASSWORD": "hunter2"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}

var connections int

// connect is the program's own. The first time, somebody changes the password after it; the second time, Ctrl-C ends it.
func connect(password string) {
	fmt.Println("connected with", password)
	if connections++; connections > 1 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
		return
	}
	rotated := map[string]string{"db/password": "hunter2-rotated"}
	if err := operator.SetSecrets(context.Background(), os.Getenv("INFLUX_ORG_ID"), rotated); err != nil {
		log.Fatal(err)
	}
}
