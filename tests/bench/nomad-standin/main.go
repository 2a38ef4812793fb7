// A stand-in for Nomad: NOT Nomad, whose server is under no open-source licence. Its JSON is marshalled from the types of
// Nomad's own client library, so its shapes are right; its behaviour is what the documentation and bug reports say.
//
//	nomad-standin server -http ADDR -rpc ADDR      nodes, jobs and allocations, in memory: a restart has lost its state
//	nomad-standin client -http ADDR -servers ADDR,... -id UUID -name NAME
//
// What matters of its behaviour: a client learns its servers once, at start; then it keeps the addresses that servers hand
// back. When all of them are gone, or have lost its registration, it stays away until it is told others
// (PUT /v1/agent/servers) or is started again. Nodes are `down` after missed heartbeats; a drained node is ineligible; a job
// runs only on a ready, eligible node. Missing altogether: raft (one server is always the leader, or never with
// -leaderless), evaluations, deployments, real tasks, and every other endpoint.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Version is what the stand-in says of itself, wherever Nomad would say its own.
const Version = "1.10.5"

type options struct {
	http, rpc, advertise, region, acl, ca, cert, key string
	verify, leaderless                               bool
	ttl                                              time.Duration
	servers, id, name, datacenter, pool, class, meta string
}

func main() {
	if len(os.Args) < 2 {
		fatal(errors.New("usage: nomad-standin server|client [flags]"))
	}
	o, flags := options{}, flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.StringVar(&o.http, "http", "127.0.0.1:4646", "where the HTTP API listens")
	flags.StringVar(&o.rpc, "rpc", "127.0.0.1:4647", "server: where clients register (of the stand-in's own kind, not Nomad's)")
	flags.StringVar(&o.advertise, "advertise", "", "server: the addresses handed back to clients; default -rpc")
	flags.StringVar(&o.region, "region", "global", "the region")
	flags.StringVar(&o.acl, "acl", "", "a file of tokens; without it everything is allowed")
	flags.StringVar(&o.ca, "ca", "", "PEM; with -cert and -key: TLS")
	flags.StringVar(&o.cert, "cert", "", "PEM")
	flags.StringVar(&o.key, "key", "", "PEM")
	flags.BoolVar(&o.verify, "verify", false, "as verify_https_client: who asks shows a certificate of the -ca")
	flags.BoolVar(&o.leaderless, "leaderless", false, "server: as one that found no quorum")
	flags.DurationVar(&o.ttl, "ttl", time.Second, "after so long without a heartbeat a node is down, and a client away")
	flags.StringVar(&o.servers, "servers", "", "client: RPC addresses of servers, once looked up")
	flags.StringVar(&o.id, "id", "", "client: its UUID")
	flags.StringVar(&o.name, "name", "", "client: its name")
	flags.StringVar(&o.datacenter, "dc", "dc1", "client: its datacenter")
	flags.StringVar(&o.pool, "pool", "default", "client: its node pool")
	flags.StringVar(&o.class, "class", "", "client: its class")
	flags.StringVar(&o.meta, "meta", "", "client: name=value,...")
	_ = flags.Parse(os.Args[2:])
	switch os.Args[1] {
	case "server":
		serve(o)
	case "client":
		run(o)
	default:
		fatal(fmt.Errorf("%s is neither server nor client", os.Args[1]))
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "nomad-standin:", err)
	os.Exit(1)
}

// coded is an error with the status that the HTTP API answers.
type coded struct {
	status  int
	message string
}

func (c coded) Error() string { return c.message }

// handler answers with JSON; an error as Nomad does, in plain text.
type handler func(http.ResponseWriter, *http.Request) (any, error)

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := h(w, r)
	if err != nil {
		status := http.StatusInternalServerError
		var known coded
		if errors.As(err, &known) {
			status = known.status
		}
		w.WriteHeader(status)
		fmt.Fprint(w, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func read(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return coded{http.StatusBadRequest, err.Error()}
	}
	return nil
}

// listen serves the HTTP API, over TLS where a certificate is given.
func listen(o options, mux http.Handler) {
	listener, err := net.Listen("tcp", o.http)
	if err != nil {
		fatal(err)
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			fatal(err)
		}
		config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
		if o.verify {
			pem, err := os.ReadFile(o.ca)
			if err != nil {
				fatal(err)
			}
			config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
			config.ClientCAs.AppendCertsFromPEM(pem)
		}
		listener = tls.NewListener(listener, config)
	}
	fatal(http.Serve(listener, mux))
}

// pairs reads name=value,...
func pairs(text string) map[string]string {
	found := map[string]string{}
	for _, word := range strings.Split(text, ",") {
		if name, value, ok := strings.Cut(word, "="); ok {
			found[name] = value
		}
	}
	return found
}
