// Makes a user of a MinIO server who may do what a policy says, and nothing else. Tests only: MinIO's way of
// making users is encrypted, so that it takes its own client.
//
//	minio-admin HOST:PORT USER POLICY.json     MINIO_ROOT_USER, MINIO_ROOT_PASSWORD and USER_PASSWORD in the environment
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/minio/madmin-go/v3"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "minio-admin:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 4 {
		return fmt.Errorf("usage: minio-admin HOST:PORT USER POLICY.json")
	}
	host, user, file := os.Args[1], os.Args[2], os.Args[3]
	policy, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	client, err := madmin.New(host, os.Getenv("MINIO_ROOT_USER"), os.Getenv("MINIO_ROOT_PASSWORD"), false)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := client.AddUser(ctx, user, os.Getenv("USER_PASSWORD")); err != nil {
		return err
	}
	name := "policy-of-" + user
	if err := client.AddCannedPolicy(ctx, name, policy); err != nil {
		return err
	}
	_, err = client.AttachPolicy(ctx, madmin.PolicyAssociationReq{Policies: []string{name}, User: user})
	return err
}
