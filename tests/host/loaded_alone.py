"""Run by itself: what ComfyUI's loader makes of the pack at start-up, as a line of JSON.

python loaded_alone.py COMFYUI BASE_DIRECTORY PACK
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


def main(comfyui: str, base: str, pack: str) -> None:
    sys.path.insert(0, comfyui)
    sys.argv = ["main.py", "--cpu", "--base-directory", base]
    import comfy.options

    comfy.options.enable_args_parsing()
    # what ComfyUI has loaded itself by the time it comes to custom nodes
    import server  # noqa: F401

    import nodes

    asyncio.run(nodes.init_builtin_extra_nodes())
    before, own = set(sys.modules), set(nodes.NODE_CLASS_MAPPINGS)
    started = time.perf_counter()
    loaded = asyncio.run(nodes.load_custom_node(pack))
    seconds = time.perf_counter() - started
    print(
        json.dumps(
            {
                "loaded": loaded,
                "seconds": seconds,
                "modules": sorted(set(sys.modules) - before),
                "nodes": sorted(set(nodes.NODE_CLASS_MAPPINGS) - own),
                "web": sorted(nodes.EXTENSION_WEB_DIRS),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
