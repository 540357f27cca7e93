"""`nanoemo webcam RUN`: a local page that reads emotions from the browser's camera, or hears them from its microphone."""
from nanoemo.cli.common import whole_number


def add_arguments(parser):
    parser.add_argument("run", metavar="RUN", help="the folder of a run; one that was trained on voices listens")
    parser.add_argument("--port", type=whole_number(0, 65535), default=8765, metavar="N",
                        help="where the page is served (default 8765; 0 for any free one)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default cpu)")


def run(args):
    from nanoemo.recognition import Server, page_of

    page = page_of(args.run, args.device)
    with Server(page, args.port) as server:
        try:
            print(f"{page.trained.title}: open {server.url} in a browser on this computer; Ctrl-C ends", flush=True)
            print(f"only this computer can reach the page, and {page.THINGS} do not leave it", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:           # the usual way to end
            print("\nended", flush=True)
    return 0
