"""An SMTP server for tests: the recipient's local part says what it does with a mail.

usage: server.py FOLDER MODE CERTIFICATE KEY; MODE is plain, starttls or wrapped
"""
import asyncio, ssl, sys
from aiosmtpd.smtp import SMTP

folder, mode, certificate, key = sys.argv[1:5]
tls = None
if mode != "plain":
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
connections = 0


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        local = address.split("@")[0]
        if local == "early":
            server.transport.abort()
            return "421 bye"
        if local == "later":
            return "451 try again"
        if local == "never":
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server, session, envelope):
        local = envelope.rcpt_tos[0].split("@")[0]
        if local == "drop":
            server.transport.abort()
            return "451 gone"
        if local == "silent":
            await asyncio.sleep(60)
        if local == "spam":
            return "554 not wanted"
        with open(f"{folder}/{local}.eml", "wb") as file:
            file.write(envelope.original_content)
        with open(f"{folder}/{local}.how", "w") as file:
            file.write(f"{connections} {'tls' if session.ssl or mode == 'wrapped' else 'plain'}")
        with open(f"{folder}/taken", "a") as file:
            file.write(local + "\n")
        return "250 taken"


def session():
    global connections
    connections += 1
    context = tls if mode == "starttls" else None
    return SMTP(Handler(), hostname="localhost", tls_context=context)


async def main():
    loop = asyncio.get_running_loop()
    wrapped = tls if mode == "wrapped" else None
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=wrapped)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The end of standard input is the end of the test.
    await loop.run_in_executor(None, sys.stdin.read)
    sys.stdout.flush()
    import os
    os._exit(0)


asyncio.run(main())
