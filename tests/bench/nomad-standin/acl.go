package main

import (
	"encoding/json"
	"net/http"
	"os"
	"slices"
)

// rights of one token, by the words of a Nomad policy. The file is {"<secret id>": {...}}; the secret "" is the anonymous one.
type rights struct {
	Management bool
	// read or write, as in node { policy = "read" }
	Node, Agent string
	// Namespace ("*" for all) to capabilities such as list-jobs, read-job, submit-job.
	Namespaces map[string][]string
}

// acl knows the tokens; nil allows everything.
type acl map[string]rights

func newACL(file string) acl {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		fatal(err)
	}
	tokens := acl{}
	if err := json.Unmarshal(text, &tokens); err != nil {
		fatal(err)
	}
	return tokens
}

func (a acl) of(r *http.Request) (rights, error) {
	if a == nil {
		return rights{Management: true}, nil
	}
	token := r.Header.Get("X-Nomad-Token")
	found, known := a[token]
	if !known && token != "" {
		return rights{}, coded{http.StatusForbidden, "ACL token not found"}
	}
	return found, nil
}

func allowed(yes bool, err error) error {
	if err == nil && !yes {
		return coded{http.StatusForbidden, "Permission denied"}
	}
	return err
}

func grants(policy, wanted string) bool { return policy == "write" || policy == wanted }

func (a acl) node(r *http.Request, wanted string) error {
	found, err := a.of(r)
	return allowed(found.Management || grants(found.Node, wanted), err)
}

func (a acl) agent(r *http.Request, wanted string) error {
	found, err := a.of(r)
	return allowed(found.Management || grants(found.Agent, wanted), err)
}

func (t rights) may(namespace, capability string) bool {
	return t.Management || slices.Contains(t.Namespaces[namespace], capability) || slices.Contains(t.Namespaces["*"], capability)
}

// namespace is that of the query, and which of all namespaces the token may see of it.
func (a acl) namespace(r *http.Request, capability string) (func(string) bool, error) {
	found, err := a.of(r)
	asked := r.URL.Query().Get("namespace")
	if asked == "" {
		asked = "default"
	}
	if asked == "*" {
		some := found.Management
		for _, capabilities := range found.Namespaces {
			some = some || slices.Contains(capabilities, capability)
		}
		return func(name string) bool { return found.may(name, capability) }, allowed(some, err)
	}
	return func(name string) bool { return name == asked }, allowed(found.may(asked, capability), err)
}
