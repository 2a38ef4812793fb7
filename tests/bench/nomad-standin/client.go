package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// agent is one client: it knows servers by address, and nothing else of them.
type agent struct {
	sync.Mutex
	node    *api.Node
	servers []string
	// registered with those servers.
	registered bool
	// away: told nothing new, it does not come back.
	away bool
	ttl  time.Duration
	http *http.Client
}

func run(o options) {
	host, _, _ := net.SplitHostPort(o.http)
	a := &agent{ttl: o.ttl, http: &http.Client{Timeout: o.ttl}}
	a.node = &api.Node{
		ID: o.id, Name: o.name, Datacenter: o.datacenter, NodeClass: o.class, NodePool: o.pool,
		HTTPAddr: o.http, TLSEnabled: o.cert != "", Meta: pairs(o.meta),
		Attributes: map[string]string{
			"nomad.version": Version, "kernel.name": runtime.GOOS, "cpu.arch": runtime.GOARCH, "os.name": "stand-in",
			"unique.hostname": o.name, "unique.network.ip-address": host, "unique.storage.bytesfree": "1000000",
			"driver.raw_exec": "1",
		},
	}
	// Names are looked up once; what is known from here on are addresses.
	for _, server := range strings.Split(o.servers, ",") {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			continue
		}
		if found, err := net.LookupHost(host); err == nil {
			a.servers = append(a.servers, net.JoinHostPort(found[0], port))
		}
	}
	go a.beat()
	tokens, mux := newACL(o.acl), http.NewServeMux()
	mux.Handle("GET /v1/agent/servers", handler(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		a.Lock()
		defer a.Unlock()
		return slices.Sorted(slices.Values(a.servers)), tokens.agent(r, "read")
	}))
	mux.Handle("PUT /v1/agent/servers", handler(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		if err := tokens.agent(r, "write"); err != nil {
			return nil, err
		}
		return nil, a.told(r.URL.Query()["address"])
	}))
	mux.Handle("GET /v1/agent/self", handler(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		return self(o, false), tokens.agent(r, "read")
	}))
	listen(o, mux)
}

// told replaces the servers by those that answer; with none it keeps what it has.
func (a *agent) told(addresses []string) error {
	if len(addresses) == 0 {
		return coded{http.StatusBadRequest, "missing server address"}
	}
	var answering []string
	for _, address := range addresses {
		if answer, err := a.http.Get("http://" + address + "/ping"); err == nil {
			answer.Body.Close()
			answering = append(answering, address)
		}
	}
	if len(answering) == 0 {
		return coded{http.StatusInternalServerError, "no servers"}
	}
	a.Lock()
	defer a.Unlock()
	a.servers, a.registered, a.away = answering, false, false
	return nil
}

// beat registers, then tells that it lives, until nobody is left that it knows and that knows it.
func (a *agent) beat() {
	last := time.Now()
	for {
		a.Lock()
		servers, registered, away := slices.Clone(a.servers), a.registered, a.away
		a.Unlock()
		if away {
			last = time.Now()
			time.Sleep(a.ttl / 10)
			continue
		}
		path := "/heartbeat"
		if !registered {
			path = "/register"
		}
		lost := false
		for _, server := range servers {
			handed, status := a.call(server, path)
			if status == http.StatusOK {
				last = time.Now()
				a.keep(servers, handed)
				break
			}
			lost = lost || status == http.StatusNotFound
		}
		if lost || time.Since(last) > a.ttl {
			a.leave(servers)
		}
		time.Sleep(a.ttl / 3)
	}
}

// keep takes what a server handed back, unless others were named meanwhile.
func (a *agent) keep(asked, handed []string) {
	a.Lock()
	defer a.Unlock()
	if slices.Equal(a.servers, asked) {
		a.servers, a.registered = handed, true
	}
}

// leave gives up on the servers that were asked, unless others were named meanwhile.
func (a *agent) leave(asked []string) {
	a.Lock()
	defer a.Unlock()
	if slices.Equal(a.servers, asked) {
		a.away = true
	}
}

func (a *agent) call(server, path string) (handed []string, status int) {
	body, _ := json.Marshal(a.node)
	answer, err := a.http.Post("http://"+server+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return nil, 0
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK && json.NewDecoder(answer.Body).Decode(&handed) != nil {
		return nil, 0
	}
	return handed, answer.StatusCode
}
