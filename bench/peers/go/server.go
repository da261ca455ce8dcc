// The servers: an echo with a goroutine and a buffer of each connection's own, and net/http. See bench/kit/serve.h.
//
// All loops share a listener: goroutines are not tied to them.

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

const (
	echoBytes = 4 << 10
	bulkBytes = 64 << 10
)

type server struct {
	kind  string
	serve func(net.Listener) error
}

var servers = []server{
	{"echo", func(listener net.Listener) error { return serveEcho(listener, echoBytes) }},
	{"bulk", func(listener net.Listener) error { return serveEcho(listener, bulkBytes) }},
	{"http", func(listener net.Listener) error { return http.Serve(listener, http.HandlerFunc(hello)) }},
}

func serveEcho(listener net.Listener, bufferBytes int) error {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go echo(connection, bufferBytes)
	}
}

func echo(connection net.Conn, bufferBytes int) {
	defer connection.Close()
	buffer := make([]byte, bufferBytes)
	for {
		count, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:count]); err != nil {
			return
		}
	}
}

var greeting = []byte("Hello, World!")

func hello(response http.ResponseWriter, _ *http.Request) {
	response.Header()["Content-Type"] = []string{"text/plain"}
	_, _ = response.Write(greeting)
}

// raiseDescriptorLimit is for the connections, each of which is one.
func raiseDescriptorLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

// runServer tells its port, and serves until the standard input ends.
func runServer(present *server) {
	raiseDescriptorLimit()
	config := net.ListenConfig{KeepAlive: -1} // whose settings would be calls for each connection
	listener, err := config.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	panic(present.serve(listener))
}
