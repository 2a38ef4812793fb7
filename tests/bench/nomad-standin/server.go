package main

import (
	"cmp"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

type server struct {
	options
	*state
	acl acl
}

func serve(o options) {
	if o.advertise == "" {
		o.advertise = o.rpc
	}
	s := &server{options: o, state: newState(o.ttl), acl: newACL(o.acl)}
	go s.watch()
	go s.clients()
	mux := http.NewServeMux()
	free := func(pattern string, h handler) { mux.Handle(pattern, h) }
	free("GET /v1/status/leader", s.leader)
	free("GET /v1/status/peers", func(http.ResponseWriter, *http.Request) (any, error) { return s.peers(), nil })
	free("GET /v1/regions", func(http.ResponseWriter, *http.Request) (any, error) { return []string{o.region}, nil })
	led := func(pattern string, may func(*http.Request) error, h handler) {
		mux.Handle(pattern, handler(func(w http.ResponseWriter, r *http.Request) (any, error) {
			if asked := r.URL.Query().Get("region"); asked != "" && asked != o.region {
				return nil, coded{http.StatusInternalServerError, "No path to region"}
			}
			if o.leaderless && !strings.HasPrefix(r.URL.Path, "/v1/agent/") {
				return nil, coded{http.StatusInternalServerError, "No cluster leader"}
			}
			if err := may(r); err != nil {
				return nil, err
			}
			s.wait(w, r)
			w.Header().Set("X-Nomad-Knownleader", "true")
			return h(w, r)
		}))
	}
	node := func(wanted string) func(*http.Request) error {
		return func(r *http.Request) error { return s.acl.node(r, wanted) }
	}
	job := func(capability string) func(*http.Request) error {
		return func(r *http.Request) error { _, err := s.acl.namespace(r, capability); return err }
	}
	led("GET /v1/agent/self", func(r *http.Request) error { return s.acl.agent(r, "read") },
		func(http.ResponseWriter, *http.Request) (any, error) { return self(o, true), nil })
	// A server is no client: it has no list of known servers.
	free("/v1/agent/servers", func(http.ResponseWriter, *http.Request) (any, error) { return nil, coded{501, "Invalid method"} })
	led("GET /v1/nodes", node("read"), s.listNodes)
	led("GET /v1/node/{id}", node("read"), s.getNode)
	led("PUT /v1/node/{id}/drain", node("write"), s.drain)
	led("PUT /v1/node/{id}/eligibility", node("write"), s.eligibility)
	led("PUT /v1/node/{id}/purge", node("write"), s.purge)
	led("GET /v1/jobs", job("list-jobs"), s.listJobs)
	led("PUT /v1/jobs", job("submit-job"), s.register)
	led("GET /v1/job/{id}", job("read-job"), s.getJob)
	led("DELETE /v1/job/{id}", job("submit-job"), s.stop)
	led("GET /v1/job/{id}/allocations", job("read-job"), s.listAllocs)
	led("GET /v1/allocations", job("read-job"), s.listAllocs)
	listen(o, mux)
}

func (s *server) peers() []string { return strings.Split(s.advertise, ",") }

func (s *server) leader(http.ResponseWriter, *http.Request) (any, error) {
	if s.leaderless {
		return "", nil
	}
	return s.peers()[0], nil
}

func self(o options, server bool) *api.AgentSelf {
	enabled := map[string]any{"Enabled": server}
	return &api.AgentSelf{
		Config: map[string]any{"Region": o.region, "Version": map[string]any{"Version": Version}, "Server": enabled},
		Member: api.AgentMember{Name: "standin." + o.region, Status: "alive", Tags: map[string]string{"build": Version}},
		Stats:  map[string]map[string]string{"nomad": {"server": map[bool]string{true: "true", false: "false"}[server]}},
	}
}

// clients is where clients register and tell that they live. Nomad speaks another protocol here.
func (s *server) clients() {
	mux := http.NewServeMux()
	mux.Handle("/ping", handler(func(http.ResponseWriter, *http.Request) (any, error) { return "pong", nil }))
	mux.Handle("/register", handler(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		told := &api.Node{}
		if err := read(r, told); err != nil {
			return nil, err
		}
		_, err := s.change(func(index uint64) error {
			told.SchedulingEligibility, told.CreateIndex, told.ModifyIndex = api.NodeSchedulingEligible, index, index
			told.Status, told.StatusUpdatedAt = api.NodeStatusReady, time.Now().Unix()
			if known := s.nodes[told.ID]; known != nil {
				told.SchedulingEligibility, told.CreateIndex = known.SchedulingEligibility, known.CreateIndex
				told.Drain, told.DrainStrategy = known.Drain, known.DrainStrategy
			}
			s.nodes[told.ID], s.seen[told.ID] = told, time.Now()
			return nil
		})
		return s.peers(), err
	}))
	mux.Handle("/heartbeat", handler(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		told := &api.Node{}
		if err := read(r, told); err != nil {
			return nil, err
		}
		return s.peers(), s.heard(told.ID)
	}))
	listener, err := net.Listen("tcp", s.rpc)
	if err != nil {
		fatal(err)
	}
	fatal(http.Serve(listener, mux))
}

func (s *server) listNodes(w http.ResponseWriter, r *http.Request) (any, error) {
	s.Lock()
	defer s.Unlock()
	stubs := []*api.NodeListStub{}
	for _, n := range slices.SortedFunc(maps.Values(s.nodes), func(a, b *api.Node) int { return cmp.Compare(a.ID, b.ID) }) {
		host, _, _ := net.SplitHostPort(n.HTTPAddr)
		stubs = append(stubs, &api.NodeListStub{
			Address: host, ID: n.ID, Datacenter: n.Datacenter, Name: n.Name, NodeClass: n.NodeClass, NodePool: n.NodePool,
			Version: Version, Drain: n.Drain, SchedulingEligibility: n.SchedulingEligibility, Status: n.Status,
			CreateIndex: n.CreateIndex, ModifyIndex: n.ModifyIndex,
		})
	}
	return page(w, r, stubs), nil
}

func (s *server) getNode(_ http.ResponseWriter, r *http.Request) (any, error) {
	s.Lock()
	defer s.Unlock()
	node, err := s.node(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	copied := *node
	return &copied, nil
}

func (s *server) drain(_ http.ResponseWriter, r *http.Request) (any, error) {
	asked := api.NodeUpdateDrainRequest{}
	if err := read(r, &asked); err != nil {
		return nil, err
	}
	index, err := s.change(func(index uint64) error {
		node, err := s.node(r.PathValue("id"))
		if err != nil {
			return err
		}
		node.Drain, node.DrainStrategy, node.ModifyIndex = asked.DrainSpec != nil, nil, index
		if asked.DrainSpec != nil {
			node.DrainStrategy = &api.DrainStrategy{DrainSpec: *asked.DrainSpec, StartedAt: time.Now()}
			node.SchedulingEligibility = api.NodeSchedulingIneligible
		} else if asked.MarkEligible {
			node.SchedulingEligibility = api.NodeSchedulingEligible
		}
		return nil
	})
	return api.NodeDrainUpdateResponse{NodeModifyIndex: index}, err
}

func (s *server) eligibility(_ http.ResponseWriter, r *http.Request) (any, error) {
	asked := api.NodeUpdateEligibilityRequest{}
	if err := read(r, &asked); err != nil {
		return nil, err
	}
	index, err := s.change(func(index uint64) error {
		node, err := s.node(r.PathValue("id"))
		if err != nil {
			return err
		}
		if node.Drain && asked.Eligibility == api.NodeSchedulingEligible {
			return coded{http.StatusBadRequest, "can not set node's scheduling eligibility to eligible while it is draining"}
		}
		node.SchedulingEligibility, node.ModifyIndex = asked.Eligibility, index
		return nil
	})
	return api.NodeEligibilityUpdateResponse{NodeModifyIndex: index}, err
}

func (s *server) purge(_ http.ResponseWriter, r *http.Request) (any, error) {
	index, err := s.change(func(uint64) error {
		_, err := s.node(r.PathValue("id"))
		delete(s.nodes, r.PathValue("id"))
		delete(s.seen, r.PathValue("id"))
		return err
	})
	return api.NodePurgeResponse{NodeModifyIndex: index}, err
}
