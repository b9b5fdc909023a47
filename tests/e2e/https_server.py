"""A web server on loopback, encrypted; the handshake belongs to the thread of the request.

    server = HttpsServer(Handler, certificates.Authority().issue("name").server()); server.port
"""
import http.server
import threading


class HttpsServer(http.server.ThreadingHTTPServer):
    def __init__(self, handler, tls):
        super().__init__(("127.0.0.1", 0), handler)
        self.tls = tls
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def get_request(self):
        client, address = self.socket.accept()
        client.settimeout(60)
        return self.tls.wrap_socket(client, server_side=True,
                                    do_handshake_on_connect=False), address

    def handle_error(self, request, address):
        pass

    def stop(self):
        self.shutdown()
        self.server_close()
