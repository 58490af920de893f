// Package store has the common parts of the examples: a connection, and the handling of errors.
// Copy it, and change what you need.
package store

import (
	"context"
	"log"
	"math/rand"
	"os"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	pb "ringstore/v1"
)

// MessageBytesMax is the node's max_message_bytes, by default 4 MiB. A reply may be as long.
func MessageBytesMax() int {
	given := os.Getenv("RINGSTORE_MAX_MESSAGE_BYTES")
	if given == "" {
		return 4 << 20
	}
	bytes, err := strconv.Atoi(given)
	Must(err)
	return bytes
}

// Connect gives a client of a router (or of a shard on its own), whose address is the first
// argument of the program. Share it: it may be used by many goroutines.
func Connect() pb.KeyStoreClient {
	if len(os.Args) != 2 {
		log.Fatalf("usage: %s HOST:PORT", os.Args[0])
	}
	connection, err := grpc.Dial(os.Args[1], append(security(),
		// No call is sent again automatically: see Repeat.
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MessageBytesMax()+1024),
			grpc.MaxCallSendMsgSize(MessageBytesMax()+1024)),
		// A router that has vanished is detected while a call waits, after six minutes. A node closes
		// the connection of a client that pings more often than its min_ping_seconds, by default 300:
		// lower that first if you need less.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 330 * time.Second, Timeout: 20 * time.Second}))...)
	Must(err)
	return pb.NewKeyStoreClient(connection)
}

// security encrypts the connection if the environment names a file with the authority's
// certificates, or a token.
func security() []grpc.DialOption {
	authority, secret := os.Getenv("RINGSTORE_CLIENT_TLS_CA"), os.Getenv("RINGSTORE_TOKEN")
	if authority == "" && secret == "" {
		// Since grpc-go 1.34: WithTransportCredentials(insecure.NewCredentials()).
		return []grpc.DialOption{grpc.WithInsecure()}
	}
	// Without a file, the authorities that the machine trusts.
	roots := credentials.NewClientTLSFromCert(nil, "")
	if authority != "" {
		var err error
		roots, err = credentials.NewClientTLSFromFile(authority, "")
		Must(err)
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(roots)}
	if secret != "" {
		options = append(options, grpc.WithPerRPCCredentials(token(secret)))
	}
	return options
}

// token is a user's, sent with each call.
type token string

// GetRequestMetadata is what is added to each call.
func (secret token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(secret)}, nil
}

// RequireTransportSecurity says that the token is sent over TLS only.
func (secret token) RequireTransportSecurity() bool {
	return true
}

// Within returns a context for one call. Every call has a deadline; what it bounds is the wait: a
// write may have been executed.
func Within(limit time.Duration) context.Context {
	// Its timer goes with the process, or at the deadline.
	ctx, _ := context.WithTimeout(context.Background(), limit)
	return ctx
}

// Failure is the error of a call. The code is its kind, the reason its exact cause.
type Failure struct {
	Code       codes.Code
	Reason     string
	RetryAfter time.Duration
}

// Explain reads an error's details.
func Explain(err error) Failure {
	shown := status.Convert(err)
	failure := Failure{Code: shown.Code()}
	for _, detail := range shown.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			failure.Reason = detail.Reason
		case *errdetails.RetryInfo:
			failure.RetryAfter = time.Duration(detail.RetryDelay.GetSeconds())*time.Second +
				time.Duration(detail.RetryDelay.GetNanos())
		}
	}
	return failure
}

// DidNotHappen returns whether a write with this error has certainly changed nothing.
func (failure Failure) DidNotHappen() bool {
	return failure.Reason != "" && failure.Reason != "OUTCOME_UNKNOWN"
}

// MayPass returns whether the same call may succeed a little later.
func (failure Failure) MayPass() bool {
	return failure.Code == codes.Unavailable || failure.Code == codes.ResourceExhausted
}

// Repeat makes a call again, while that is safe, until it succeeds or the time has passed.
//
// A call that is idempotent may be repeated although it may have been executed: a read, or a write
// that does the same once and twice. Any other write is repeated only if it certainly was not
// executed: if the outcome is unknown, the caller must read before it decides.
func Repeat(idempotent bool, limit time.Duration, call func() error) error {
	end := time.Now().Add(limit)
	pause := 50 * time.Millisecond
	for {
		err := call()
		if err == nil {
			return nil
		}
		failure := Explain(err)
		safe := idempotent || failure.DidNotHappen()
		if !safe || !failure.MayPass() || time.Now().Add(pause).After(end) {
			return err
		}
		// Many clients that fail at once should not come back at once.
		wait := time.Duration(float64(pause) * (0.8 + 0.4*rand.Float64()))
		if failure.RetryAfter > wait {
			wait = failure.RetryAfter
		}
		time.Sleep(wait)
		if pause *= 2; pause > time.Second {
			pause = time.Second
		}
	}
}

// Must ends the program after an error that it can't handle.
func Must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
