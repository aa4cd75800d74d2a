// SPDX-License-Identifier: GPL-2.0-only

// A small TURN server around pion's library: another implementation than coturn, with relay sockets that are bound to
// no address of their own. UDP over IPv4 only.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/pion/turn/v2"
)

func main() {
	listen := flag.String("listen", "", "ADDRESS:PORT,...")
	relay := flag.String("relay", "", "address that clients are told")
	bind := flag.String("bind", "0.0.0.0", "address that relay sockets are bound to")
	low := flag.Uint("low", 50000, "lowest relay port")
	high := flag.Uint("high", 50999, "highest relay port")
	user := flag.String("user", "", "USER:PASSWORD")
	realm := flag.String("realm", "", "realm")
	channel := flag.Duration("channel-lifetime", 10*time.Minute, "of channel bindings")
	flag.Parse()

	name, password, _ := strings.Cut(*user, ":")
	config := turn.ServerConfig{
		Realm:              *realm,
		ChannelBindTimeout: *channel,
		AuthHandler: func(username string, realm string, _ net.Addr) ([]byte, bool) {
			return turn.GenerateAuthKey(username, realm, password), username == name
		},
	}
	for _, address := range strings.Split(*listen, ",") {
		conn, err := net.ListenPacket("udp4", address)
		if err != nil {
			log.Fatal(err)
		}
		_ = conn.(*net.UDPConn).SetReadBuffer(4 << 20) // it reads all clients' packets in one loop
		config.PacketConnConfigs = append(config.PacketConnConfigs, turn.PacketConnConfig{
			PacketConn: conn,
			RelayAddressGenerator: &turn.RelayAddressGeneratorPortRange{
				RelayAddress: net.ParseIP(*relay),
				Address:      *bind,
				MinPort:      uint16(*low),
				MaxPort:      uint16(*high),
			},
		})
	}
	server, err := turn.NewServer(config)
	if err != nil {
		log.Fatal(err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	<-signals
	_ = server.Close()
}
