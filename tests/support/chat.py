"""A local chat completions endpoint with scripted responses, including broken ones."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChatServer:
    """A server whose `answer(prompt, number)` returns the text, an HTTP status, or bytes to send unchanged."""

    def __init__(self, answer):
        self.answer, self.prompts, self.bodies = answer, [], []
        self.lock = threading.Lock()


@contextmanager
def chat_server(answer, usage=10):
    """Start a server and yield (address, server)."""
    state = ChatServer(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = body["messages"][0]["content"]
            with state.lock:
                state.prompts.append(prompt)
                state.bodies.append(body)
                number = len(state.prompts)
            said = state.answer(prompt, number)
            if isinstance(said, int):
                self.send_response(said)
                self.send_header("Retry-After", "0")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            record = {"choices": [{"message": {"content": said}}]}
            if usage is not None:
                record["usage"] = {"total_tokens": usage}
            data = said if isinstance(said, bytes) else json.dumps(record).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
