"""One contract for several clients: what a client of Pulsar does, alone and with another client on the other end."""
