// A client in Go, from the protos alone: does what every client of the conformance suite does, prints what it saw.
//
//	client ADDRESS PREFIX
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	pb "csroute/csroute/v1"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type client struct {
	ctx     context.Context
	prefix  string
	routing pb.RoutingServiceClient
	agents  pb.AgentServiceClient
	admin   pb.AdminServiceClient
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func (c *client) ticket(name string) *pb.NewTicket {
	return &pb.NewTicket{Id: c.prefix + name, Channel: "chat", Source: c.prefix}
}

// What a call was refused with: gRPC's code, the reason, its number, the retry hint in ms.
func refusal[T any](_ T, err error) []any {
	no, _ := status.FromError(err)
	seen := []any{int(no.Code())}
	for _, detail := range no.Details() {
		switch info := detail.(type) {
		case *errdetails.ErrorInfo:
			seen = append(seen, info.Reason, info.Metadata["code"])
		case *errdetails.RetryInfo:
			seen = append(seen, info.RetryDelay.AsDuration().Milliseconds())
		}
	}
	return seen
}

func state(state pb.TicketState) string { return strings.TrimPrefix(state.String(), "TICKET_STATE_") }

func (c *client) life() any {
	waiting := must(c.routing.Route(c.ctx, &pb.RouteRequest{Ticket: c.ticket("life")}))
	agent := &pb.AgentSpec{Id: c.prefix + "ana", Skills: []*pb.SkillLevel{{Skill: "general", Level: 3}}}
	must(c.agents.UpsertAgents(c.ctx, &pb.UpsertAgentsRequest{Agents: []*pb.AgentSpec{agent}}))
	must(c.agents.OpenSession(c.ctx, &pb.OpenSessionRequest{Session: c.prefix, LeaseMs: 60_000}))
	must(c.agents.Login(c.ctx, &pb.LoginRequest{Session: c.prefix, Agent: agent.Id}))
	taken := must(c.routing.GetTicket(c.ctx, &pb.GetTicketRequest{Id: c.prefix + "life"}))
	again := must(c.routing.Route(c.ctx, &pb.RouteRequest{Ticket: c.ticket("life")}))
	return []any{state(waiting.State), state(taken.State), taken.Agent == agent.Id, again.Replayed}
}

func (c *client) work() any {
	work := must(c.agents.Work(c.ctx))
	must(0, work.Send(&pb.WorkRequest{Session: c.prefix}))
	opening := must(work.Recv()).GetOpening()
	complete := &pb.CompleteRequest{Ticket: c.prefix + "life", Attempt: 1, Outcome: "solved"}
	stale := &pb.AcceptRequest{Ticket: c.prefix + "life", Attempt: 9}
	must(0, work.Send(&pb.WorkRequest{Actions: []*pb.AgentAction{
		{Tag: 11, Action: &pb.AgentAction_Complete{Complete: complete}},
		{Tag: 12, Action: &pb.AgentAction_Accept{Accept: stale}},
	}}))
	results, kinds := []any{}, map[string]bool{}
	for len(results) < 2 || !kinds["closed"] {
		reply := must(work.Recv())
		for _, result := range reply.Results {
			results = append(results, []any{result.Tag, result.GetReply() != nil})
		}
		for _, event := range reply.Events {
			kinds["completed"] = kinds["completed"] || event.GetCompleted() != nil
			kinds["closed"] = kinds["closed"] || event.GetClosed() != nil
		}
	}
	must(0, work.CloseSend())
	for {
		if _, err := work.Recv(); err != nil {
			return []any{len(opening.Agents), len(opening.Work), results, kinds["completed"], errors.Is(err, io.EOF)}
		}
	}
}

func (c *client) batch() any {
	tickets := []*pb.NewTicket{c.ticket("batch"), c.ticket("fax"), {Channel: "chat"}}
	tickets[1].Channel = "fax"
	reply := must(c.routing.RouteBatch(c.ctx, &pb.RouteBatchRequest{Tickets: tickets, Tag: 7}))
	seen := []any{reply.Tag}
	for _, result := range reply.Results {
		seen = append(seen, result.GetReply() != nil)
	}
	return seen
}

func (c *client) stream() any {
	stream := must(c.routing.RouteStream(c.ctx))
	for tag := range 20 {
		tickets := []*pb.NewTicket{c.ticket(fmt.Sprintf("stream-%d", tag))}
		must(0, stream.Send(&pb.RouteBatchRequest{Tickets: tickets, Tag: uint64(tag)}))
	}
	must(0, stream.CloseSend())
	inOrder, replies := true, 0
	for ; ; replies++ {
		reply, err := stream.Recv()
		if err != nil {
			return []any{replies, inOrder, errors.Is(err, io.EOF)}
		}
		inOrder = inOrder && reply.Tag == uint64(replies)
	}
}

func (c *client) watch() any {
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	watch := must(c.routing.Watch(ctx, &pb.WatchRequest{Sources: []string{c.prefix + "watched"}}))
	must(watch.Header()) // it stands
	ticket := c.ticket("watched")
	ticket.Source = c.prefix + "watched"
	must(c.routing.Route(c.ctx, &pb.RouteRequest{Ticket: ticket}))
	must(c.routing.Cancel(c.ctx, &pb.CancelRequest{Id: ticket.Id, Reason: "left"}))
	kinds := []any{}
	for {
		for _, event := range must(watch.Recv()).Events {
			switch event.Kind.(type) {
			case *pb.Event_Queued:
				kinds = append(kinds, "queued")
			case *pb.Event_Cancelled:
				return append(kinds, "cancelled")
			}
		}
	}
}

func (c *client) refusals() any {
	other := metadata.AppendToOutgoingContext(c.ctx, "csroute-tenant", c.prefix+"other", "csroute-caller", "conformance")
	batch := &pb.CompleteRequest{Ticket: c.prefix + "batch", Attempt: 9}
	seen := []any{
		refusal(c.routing.Route(c.ctx, &pb.RouteRequest{})),
		refusal(c.routing.GetTicket(c.ctx, &pb.GetTicketRequest{Id: "nobody"})),
		refusal(c.agents.Complete(c.ctx, batch)),
		refusal(c.routing.GetTicket(other, &pb.GetTicketRequest{Id: c.prefix + "batch"})),
	}
	must(c.admin.Drain(c.ctx, &pb.DrainRequest{On: true}))
	seen = append(seen, refusal(c.routing.Route(c.ctx, &pb.RouteRequest{Ticket: c.ticket("drained")})))
	must(c.admin.Drain(c.ctx, &pb.DrainRequest{On: false}))
	return seen
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	connection := must(grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials())))
	c := &client{ctx, os.Args[2], pb.NewRoutingServiceClient(connection), pb.NewAgentServiceClient(connection),
		pb.NewAdminServiceClient(connection)}
	seen := []any{c.life(), c.work()}
	must(c.agents.CloseSession(ctx, &pb.CloseSessionRequest{Session: c.prefix}))
	seen = append(seen, c.batch(), c.stream(), c.watch(), c.refusals())
	must(0, json.NewEncoder(os.Stdout).Encode(seen))
}
