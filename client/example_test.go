package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"strongroom/client"
)

// Sets a secret of an organisation that is known by name, and lists the names there are.
func Example() {
	ctx := context.Background()
	c, err := client.New(client.Config{Host: "http://localhost:9999", Token: os.Getenv("INFLUX_TOKEN")})
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
}

// Uses a secret, and takes each new value of it. The token is one that may use secrets.
func ExampleClient_NextSecretSet() {
	ctx, orgID := context.Background(), os.Getenv("INFLUX_ORG_ID")
	c, err := client.New(client.Config{Host: "http://localhost:9999", Token: os.Getenv("INFLUX_TOKEN")})
	if err != nil {
		log.Fatal(err)
	}
	set, err := c.SecretSet(ctx, orgID, "db/password")
	for ; err == nil; set, err = c.NextSecretSet(ctx, orgID, set, "db/password") {
		connect(set.Values["db/password"].Reveal())
	}
	log.Fatal(err)
}

func connect(string) {}
