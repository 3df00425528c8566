package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"

	"strongroom/client"
)

// Sets a secret of an organisation that is known by name, and lists the names there are.
func Example() {
	ctx := context.Background()
	c, err := client.New(client.Config{Host: os.Getenv("INFLUX_HOST"), Token: os.Getenv("INFLUX_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	org, err := c.OrgByName(ctx, "my-org")
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == client.CodeNotFound {
		log.Fatal("no such organisation, or no permission to see it")
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := c.SetSecrets(ctx, org.ID, map[string]string{"db/password": os.Getenv("DB_PASSWORD")}); err != nil {
		log.Fatal(err)
	}
	keys, err := c.SecretKeys(ctx, org.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys)
	// Output: [db/password]
}

// Uses a secret, and takes each new value of it. The token is one that may use secrets.
func ExampleClient_NextSecretSet() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	orgID := os.Getenv("INFLUX_ORG_ID")
	c, err := client.New(client.Config{Host: os.Getenv("INFLUX_HOST"), Token: os.Getenv("INFLUX_USE_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	set, err := c.SecretSet(ctx, orgID, "db/password")
	for ; err == nil; set, err = c.NextSecretSet(ctx, orgID, set, "db/password") {
		connect(set.Values["db/password"].Reveal())
	}
	if ctx.Err() == nil {
		log.Fatal(err)
	}
	// Output:
	// connected with hunter2
	// connected with hunter2-rotated
}

// Changes a secret only where nobody else has changed it since it was looked at.
func ExampleClient_SetSecretAt() {
	ctx, orgID := context.Background(), os.Getenv("INFLUX_ORG_ID")
	c, err := client.New(client.Config{Host: os.Getenv("INFLUX_HOST"), Token: os.Getenv("INFLUX_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	info, err := c.Secret(ctx, orgID, "db/password")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := c.SetSecretAt(ctx, orgID, "db/password", "a new one", info.Version); err != nil {
		log.Fatal(err)
	}
	_, err = c.SetSecretAt(ctx, orgID, "db/password", "one that comes too late", info.Version)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Code == client.CodePreconditionFailed {
		fmt.Println("somebody was faster")
	}
	// Output: somebody was faster
}
