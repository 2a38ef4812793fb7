// What of a MinIO server only its own client can ask for, since the request is encrypted. Tests only.
//
//	minio-admin user HOST:PORT USER POLICY.json        who may do what a policy says, and nothing else
//	minio-admin replicate HOST:PORT BUCKET OTHER       lets rules of one bucket copy into another; prints its ARN
//
// MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are in the environment, and for a user USER_PASSWORD.
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
	if len(os.Args) != 5 {
		return fmt.Errorf("usage: minio-admin user HOST:PORT USER POLICY.json | replicate HOST:PORT BUCKET OTHER")
	}
	verb, host := os.Args[1], os.Args[2]
	root := madmin.Credentials{AccessKey: os.Getenv("MINIO_ROOT_USER"), SecretKey: os.Getenv("MINIO_ROOT_PASSWORD")}
	client, err := madmin.New(host, root.AccessKey, root.SecretKey, false)
	if err != nil {
		return err
	}
	switch verb {
	case "user":
		return user(client, os.Args[3], os.Args[4])
	case "replicate":
		return replicate(client, host, root, os.Args[3], os.Args[4])
	}
	return fmt.Errorf("%s: not known", verb)
}

func user(client *madmin.AdminClient, user, file string) error {
	policy, err := os.ReadFile(file)
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

func replicate(client *madmin.AdminClient, host string, root madmin.Credentials, bucket, other string) error {
	target := madmin.BucketTarget{
		SourceBucket: bucket, Endpoint: host, Credentials: &root, TargetBucket: other,
		API: "s3v4", Type: madmin.ReplicationService,
	}
	arn, err := client.SetRemoteTarget(context.Background(), bucket, &target)
	if err != nil {
		return err
	}
	fmt.Print(arn)
	return nil
}
