package main

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// jobOf is the job of the path, in the namespace of the query.
func (s *server) jobOf(r *http.Request) (*api.Job, error) {
	namespace := cmp.Or(r.URL.Query().Get("namespace"), api.DefaultNamespace)
	if job := s.jobs[namespace+"/"+r.PathValue("id")]; job != nil {
		return job, nil
	}
	return nil, coded{http.StatusNotFound, "job not found"}
}

func (s *server) listJobs(w http.ResponseWriter, r *http.Request) (any, error) {
	sees, err := s.acl.namespace(r, "list-jobs")
	if err != nil {
		return nil, err
	}
	s.Lock()
	defer s.Unlock()
	stubs := []*api.JobListStub{}
	for _, key := range slices.Sorted(maps.Keys(s.jobs)) {
		if j := s.jobs[key]; sees(*j.Namespace) {
			stubs = append(stubs, &api.JobListStub{
				ID: *j.ID, ParentID: *j.ParentID, Name: *j.Name, Namespace: *j.Namespace, Datacenters: j.Datacenters, Type: *j.Type,
				Priority: *j.Priority, Periodic: j.IsPeriodic(), ParameterizedJob: j.IsParameterized(), Stop: *j.Stop,
				Status: *j.Status, CreateIndex: *j.CreateIndex, ModifyIndex: *j.ModifyIndex, JobModifyIndex: *j.JobModifyIndex,
				SubmitTime: *j.SubmitTime, Meta: j.Meta,
			})
		}
	}
	return page(w, r, stubs), nil
}

func (s *server) getJob(_ http.ResponseWriter, r *http.Request) (any, error) {
	s.Lock()
	defer s.Unlock()
	job, err := s.jobOf(r)
	if err != nil {
		return nil, err
	}
	copied := *job
	return &copied, nil
}

// register takes a job as it is, without a plan: missing fields are filled in by the client library.
func (s *server) register(_ http.ResponseWriter, r *http.Request) (any, error) {
	asked := api.JobRegisterRequest{}
	if err := read(r, &asked); err != nil {
		return nil, err
	}
	if asked.Job == nil || asked.Job.ID == nil {
		return nil, coded{http.StatusBadRequest, "Job must be specified"}
	}
	job := asked.Job
	job.Canonicalize()
	if *job.NodePool == "" {
		*job.NodePool = api.NodePoolDefault
	}
	if sees, err := s.acl.namespace(r, "submit-job"); err != nil || !sees(*job.Namespace) {
		return nil, allowed(false, err)
	}
	index, err := s.change(func(index uint64) error {
		version, created, submitted, stop := uint64(0), index, time.Now().UnixNano(), false
		if known := s.jobs[*job.Namespace+"/"+*job.ID]; known != nil {
			version, created = *known.Version+1, *known.CreateIndex
		}
		job.Version, job.CreateIndex, job.ModifyIndex, job.JobModifyIndex = &version, &created, &index, &index
		job.SubmitTime, job.Stop = &submitted, &stop
		s.jobs[*job.Namespace+"/"+*job.ID] = job
		return nil
	})
	return api.JobRegisterResponse{JobModifyIndex: index}, err
}

func (s *server) stop(_ http.ResponseWriter, r *http.Request) (any, error) {
	index, err := s.change(func(index uint64) error {
		job, err := s.jobOf(r)
		if err != nil {
			return err
		}
		stopped := true
		job.Stop, job.ModifyIndex = &stopped, &index
		return nil
	})
	return api.JobDeregisterResponse{JobModifyIndex: index}, err
}

// listAllocs of one job, or of all in the namespaces that the token sees.
func (s *server) listAllocs(w http.ResponseWriter, r *http.Request) (any, error) {
	sees, err := s.acl.namespace(r, "read-job")
	if err != nil {
		return nil, err
	}
	s.Lock()
	defer s.Unlock()
	stubs := []*api.AllocationListStub{}
	for _, alloc := range s.allocs {
		if id := r.PathValue("id"); sees(alloc.Namespace) && (id == "" || id == alloc.JobID) {
			copied := *alloc
			stubs = append(stubs, &copied)
		}
	}
	return page(w, r, stubs), nil
}
