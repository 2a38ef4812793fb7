// ConfigMaps for `make bench-cluster`, and the barest clients that a capture and a restore are held against.
//
//	bare list            every page of every kind in the namespaces, one after the other, over one connection
//	bare create COUNT    COUNT ConfigMaps of 1 to 10 KiB, over 16 connections; always the same ones
//	bare delete          all of them
//	bare digest          their number, and one hash of their data
//
// SERVER, CA, TOKEN and NAMESPACES (words) come from the environment. `list` and `create` print the seconds that it took.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

const connections = 16

var (
	server     = os.Getenv("SERVER")
	namespaces = strings.Fields(os.Getenv("NAMESPACES"))
	client     *http.Client
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func connect() {
	authority, err := os.ReadFile(os.Getenv("CA"))
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	// HTTP/1.1, and every answer as it is: the machine is one, so nothing is gained by compression.
	client = &http.Client{Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: pool},
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxConnsPerHost:     connections,
		MaxIdleConnsPerHost: connections,
		DisableCompression:  true,
	}}
}

// call gives back the status and the body; everything but an answer ends the program.
func call(method, path string, body []byte) (int, []byte) {
	request, err := http.NewRequest(method, server+path, bytes.NewReader(body))
	check(err)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(request)
	check(err)
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	check(err)
	return answer.StatusCode, read
}

func wanted(status, want int, what string, body []byte) {
	if status != want {
		check(fmt.Errorf("%s: %d %s", what, status, body))
	}
}

// 1 to 10 KiB each: base64 of noise compresses to three quarters.
func objects(count int) (bodies [][]byte) {
	noise := rand.New(rand.NewSource(2026))
	for number := range count {
		bytes := make([]byte, (1024+noise.Intn(9*1024))*3/4)
		noise.Read(bytes)
		body, err := json.Marshal(map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": fmt.Sprintf("object-%06d", number), "labels": map[string]string{"app": "bench"}},
			"data":     map[string]string{"text": base64.StdEncoding.EncodeToString(bytes)},
		})
		check(err)
		bodies = append(bodies, body)
	}
	return bodies
}

func create(count int) {
	bodies := objects(count)
	begun := time.Now()
	var all sync.WaitGroup
	next := make(chan int)
	for range connections {
		all.Go(func() {
			for number := range next {
				path := "/api/v1/namespaces/" + namespaces[number%len(namespaces)] + "/configmaps"
				status, body := call("POST", path, bodies[number])
				wanted(status, 201, path, body)
			}
		})
	}
	for number := range bodies {
		next <- number
	}
	close(next)
	all.Wait()
	fmt.Printf("%.3f\n", time.Since(begun).Seconds())
}

// Everything in a namespace that can be listed, in the version that the server prefers. Events and leases are in no backup.
func kinds() (collections [][2]string) {
	type named struct {
		Name, GroupVersion string
		Namespaced         bool
		Verbs              []string
		PreferredVersion   struct{ GroupVersion string }
	}
	ask := func(path string) (lists struct{ Groups, Resources []named }) {
		status, body := call("GET", path, nil)
		wanted(status, 200, path, body)
		check(json.Unmarshal(body, &lists))
		return lists
	}
	paths := []string{"/api/v1"}
	for _, group := range ask("/apis").Groups {
		paths = append(paths, "/apis/"+group.PreferredVersion.GroupVersion)
	}
	for _, path := range paths {
		for _, kind := range ask(path).Resources {
			lists := strings.Contains(strings.Join(kind.Verbs, " "), "list")
			if kind.Namespaced && lists && kind.Name != "events" && kind.Name != "leases" {
				collections = append(collections, [2]string{path, kind.Name})
			}
		}
	}
	return collections
}

// pages reads of each page only its token, which stands in front.
func pages(collection string, take func(page []byte)) {
	token := ""
	for {
		status, body := call("GET", collection+"?limit=500&continue="+url.QueryEscape(token), nil)
		wanted(status, 200, collection, body)
		take(body)
		head, _, _ := bytes.Cut(body, []byte(`"items"`))
		_, rest, more := bytes.Cut(head, []byte(`"continue":"`))
		if !more {
			return
		}
		name, _, _ := bytes.Cut(rest, []byte(`"`))
		token = string(name)
	}
}

func list() {
	begun := time.Now()
	for _, kind := range kinds() {
		for _, namespace := range namespaces {
			pages(kind[0]+"/namespaces/"+namespace+"/"+kind[1], func([]byte) {})
		}
	}
	fmt.Printf("%.3f\n", time.Since(begun).Seconds())
}

func digest() {
	var lines []string
	for _, namespace := range namespaces {
		pages("/api/v1/namespaces/"+namespace+"/configmaps", func(page []byte) {
			var list struct {
				Items []struct {
					Metadata struct {
						Name   string
						Labels map[string]string
					}
					Data map[string]string
				}
			}
			check(json.Unmarshal(page, &list))
			for _, item := range list.Items {
				if item.Metadata.Labels["app"] == "bench" {
					lines = append(lines, namespace+" "+item.Metadata.Name+" "+item.Data["text"])
				}
			}
		})
	}
	sort.Strings(lines)
	fmt.Printf("%d %x\n", len(lines), sha256.Sum256([]byte(strings.Join(lines, "\n"))))
}

func main() {
	connect()
	switch os.Args[1] {
	case "list":
		list()
	case "create":
		count, err := strconv.Atoi(os.Args[2])
		check(err)
		create(count)
	case "delete":
		for _, namespace := range namespaces {
			path := "/api/v1/namespaces/" + namespace + "/configmaps?labelSelector=app%3Dbench"
			status, body := call("DELETE", path, nil)
			wanted(status, 200, path, body)
		}
	case "digest":
		digest()
	}
}
