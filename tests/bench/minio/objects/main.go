// What a MinIO server takes from, and gives to, its maker's own client: every file of a folder as one object, 16 at a time.
// For `make bench-stores` only.
//
//	objects put HOST:PORT BUCKET FOLDER     MINIO_ROOT_USER and MINIO_ROOT_PASSWORD in the environment
//	objects get HOST:PORT BUCKET            reads every object of the bucket, and counts the bytes
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const workers = 16

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "objects:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 4 {
		return errors.New("usage: objects put HOST:PORT BUCKET FOLDER | objects get HOST:PORT BUCKET")
	}
	keys := credentials.NewStaticV4(os.Getenv("MINIO_ROOT_USER"), os.Getenv("MINIO_ROOT_PASSWORD"), "")
	client, err := minio.New(os.Args[2], &minio.Options{Creds: keys})
	if err != nil {
		return err
	}
	ctx, bucket := context.Background(), os.Args[3]
	if os.Args[1] == "put" && len(os.Args) == 5 {
		var files []string
		walk := func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		}
		if err := filepath.WalkDir(os.Args[4], walk); err != nil {
			return err
		}
		return each(files, func(path string) error {
			_, err := client.FPutObject(ctx, bucket, filepath.Base(path), path, minio.PutObjectOptions{})
			return err
		})
	}
	var names []string
	for object := range client.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
		if object.Err != nil {
			return object.Err
		}
		names = append(names, object.Key)
	}
	return each(names, func(name string) error {
		object, err := client.GetObject(ctx, bucket, name, minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer object.Close()
		_, err = io.Copy(io.Discard, object)
		return err
	})
}

// each does the work for all items, and says what failed first.
func each(items []string, work func(string) error) error {
	if len(items) == 0 {
		return errors.New("there is nothing to do")
	}
	queue := make(chan string)
	failed := make(chan error, len(items))
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for item := range queue {
				if err := work(item); err != nil {
					failed <- fmt.Errorf("%s: %w", item, err)
				}
			}
		}()
	}
	for _, item := range items {
		queue <- item
	}
	close(queue)
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}
