package main

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// state is what a server knows. Every change has an index.
type state struct {
	sync.Mutex
	index   uint64
	changed chan struct{}
	nodes   map[string]*api.Node
	seen    map[string]time.Time
	jobs    map[string]*api.Job
	allocs  []*api.AllocationListStub
	ttl     time.Duration
}

func newState(ttl time.Duration) *state {
	return &state{
		index: 1, changed: make(chan struct{}), nodes: map[string]*api.Node{}, seen: map[string]time.Time{},
		jobs: map[string]*api.Job{}, ttl: ttl,
	}
}

// change runs with the next index, places what can be placed, and wakes who waits.
func (s *state) change(what func(index uint64) error) (uint64, error) {
	s.Lock()
	defer s.Unlock()
	if err := what(s.index + 1); err != nil {
		return 0, err
	}
	s.index++
	s.place()
	close(s.changed)
	s.changed = make(chan struct{})
	return s.index, nil
}

func (s *state) node(id string) (*api.Node, error) {
	if node := s.nodes[id]; node != nil {
		return node, nil
	}
	return nil, coded{http.StatusNotFound, "node not found"}
}

// watch marks who has not been heard of as down.
func (s *state) watch() {
	for range time.Tick(s.ttl / 10) {
		s.Lock()
		late := slices.Collect(maps.Keys(s.seen))
		late = slices.DeleteFunc(late, func(id string) bool {
			return time.Since(s.seen[id]) < s.ttl || s.nodes[id].Status == api.NodeStatusDown
		})
		s.Unlock()
		for _, id := range late {
			_, _ = s.change(func(index uint64) error { return s.set(id, index, api.NodeStatusDown) })
		}
	}
}

func (s *state) set(id string, index uint64, status string) error {
	node, err := s.node(id)
	if err == nil && node.Status != status {
		node.Status, node.StatusUpdatedAt, node.ModifyIndex = status, time.Now().Unix(), index
	}
	return err
}

// heard notes that a node lives. Only one that was down changes by it.
func (s *state) heard(id string) error {
	s.Lock()
	node, err := s.node(id)
	if err != nil {
		s.Unlock()
		return err
	}
	s.seen[id] = time.Now()
	down := node.Status == api.NodeStatusDown
	s.Unlock()
	if down {
		_, err = s.change(func(index uint64) error { return s.set(id, index, api.NodeStatusReady) })
	}
	return err
}

func (s *state) fits(node *api.Node, job *api.Job) bool {
	return node.Status == api.NodeStatusReady && node.SchedulingEligibility == api.NodeSchedulingEligible &&
		slices.Contains(job.Datacenters, node.Datacenter) && *job.NodePool == node.NodePool
}

// place ends allocations whose node or job is gone, and starts what is missing on nodes that fit.
func (s *state) place() {
	running := map[string]int{}
	for _, alloc := range s.allocs {
		if alloc.ClientStatus != api.AllocClientStatusRunning {
			continue
		}
		node, job := s.nodes[alloc.NodeID], s.jobs[alloc.Namespace+"/"+alloc.JobID]
		switch {
		case node == nil || node.Status == api.NodeStatusDown:
			alloc.ClientStatus, alloc.ModifyIndex = api.AllocClientStatusLost, s.index
		case job == nil || *job.Stop || node.Drain:
			alloc.ClientStatus, alloc.ModifyIndex = api.AllocClientStatusComplete, s.index
		default:
			running[alloc.Name]++
		}
	}
	nodes := slices.SortedFunc(maps.Values(s.nodes), func(a, b *api.Node) int { return cmp.Compare(a.ID, b.ID) })
	for _, job := range s.jobs {
		runs := 0
		for _, group := range job.TaskGroups {
			for number := range *group.Count {
				name := fmt.Sprintf("%s.%s[%d]", *job.ID, *group.Name, number)
				fits := slices.IndexFunc(nodes, func(node *api.Node) bool { return s.fits(node, job) })
				if running[name] == 0 && fits >= 0 && !*job.Stop && !job.IsPeriodic() && !job.IsParameterized() {
					s.start(job, *group.Name, name, nodes[fits])
					running[name]++
				}
				runs += running[name]
			}
		}
		status := "pending"
		if runs > 0 || job.IsPeriodic() || job.IsParameterized() {
			status = "running"
		}
		if *job.Stop {
			status = "dead"
		}
		job.Status = &status
	}
}

func (s *state) start(job *api.Job, group, name string, node *api.Node) {
	s.allocs = append(s.allocs, &api.AllocationListStub{
		ID: fmt.Sprintf("a0000000-0000-4000-8000-%012d", len(s.allocs)+1), Name: name, Namespace: *job.Namespace,
		NodeID: node.ID, NodeName: node.Name, JobID: *job.ID, JobType: *job.Type, JobVersion: *job.Version, TaskGroup: group,
		DesiredStatus: "run", ClientStatus: api.AllocClientStatusRunning, CreateIndex: s.index, ModifyIndex: s.index,
		CreateTime: time.Now().UnixNano(), ModifyTime: time.Now().UnixNano(),
	})
}

// wait holds a blocking query until the index is passed.
func (s *state) wait(w http.ResponseWriter, r *http.Request) {
	asked, _ := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	patience, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		patience = 5 * time.Minute
	}
	for late := time.After(patience); ; {
		s.Lock()
		index, changed := s.index, s.changed
		s.Unlock()
		w.Header().Set("X-Nomad-Index", strconv.FormatUint(index, 10))
		if asked == 0 || index > asked {
			return
		}
		select {
		case <-changed:
		case <-late:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// page cuts a list as per_page and next_token ask for; the token is the place where the next begins.
func page[T any](w http.ResponseWriter, r *http.Request, all []T) []T {
	begin, _ := strconv.Atoi(r.URL.Query().Get("next_token"))
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	begin = min(begin, len(all))
	if size == 0 || begin+size >= len(all) {
		return all[begin:]
	}
	w.Header().Set("X-Nomad-Nexttoken", strconv.Itoa(begin+size))
	return all[begin : begin+size]
}
