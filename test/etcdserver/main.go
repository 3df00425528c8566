// Command etcdserver runs one member of a real etcd cluster, for tests. It prints a line of JSON when it serves, and
// ends when its standard input does, so that none outlives the test that started it. It is never part of the product.
//
//	etcdserver -name a -dir DIR -client http://127.0.0.1:0 -peer http://127.0.0.1:4001 -cluster a=http://127.0.0.1:4001
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "etcdserver:", err)
		os.Exit(1)
	}
}

func run() error {
	c := embed.NewConfig()
	flag.StringVar(&c.Name, "name", "a", "name of the member")
	flag.StringVar(&c.Dir, "dir", "", "folder of its data")
	client := flag.String("client", "http://127.0.0.1:0", "URL that clients reach it by")
	peer := flag.String("peer", "http://127.0.0.1:0", "URL that other members reach it by")
	flag.StringVar(&c.InitialCluster, "cluster", "", "all members, as name=peer URL; empty for this one alone")
	flag.Int64Var(&c.QuotaBackendBytes, "quota", 0, "largest size of its data; 0 for etcd's default")
	flag.StringVar(&c.ClientTLSInfo.CertFile, "cert", "", "certificate shown to clients")
	flag.StringVar(&c.ClientTLSInfo.KeyFile, "key", "", "its key")
	flag.StringVar(&c.ClientTLSInfo.TrustedCAFile, "client-ca", "",
		"authority of clients' certificates, which they must show")
	wait := flag.Duration("wait", time.Minute, "longest time until it serves")
	// Loopback answers at once; tests of a lost leader need not wait for the pauses of wide networks.
	election := flag.Duration("election", 500*time.Millisecond,
		"how long a member hears nothing from its leader before it wants another; etcd's own is 1s")
	flag.Parse()
	if c.Dir == "" {
		return fmt.Errorf("-dir is missing")
	}
	c.LogLevel = "error"
	c.ClientTLSInfo.ClientCertAuth = c.ClientTLSInfo.TrustedCAFile != ""
	c.TickMs, c.ElectionMs = uint(*election/(10*time.Millisecond)), uint(*election/time.Millisecond)
	clientURL, err := url.Parse(*client)
	if err != nil {
		return err
	}
	peerURL, err := url.Parse(*peer)
	if err != nil {
		return err
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
	if c.InitialCluster == "" {
		c.InitialCluster = c.InitialClusterFromName(c.Name)
	}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	defer e.Close()
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		return err
	case <-time.After(*wait):
		return fmt.Errorf("it does not serve after %s", *wait)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{
		"client": clientURL.Scheme + "://" + e.Clients[0].Addr().String(),
	}); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		e.Close()
		os.Exit(0)
	}()
	return <-e.Err()
}
