"""Run by itself: what ComfyUI's loader makes of the pack at start-up, as a line of JSON.

python loaded_alone.py COMFYUI BASE_DIRECTORY PACK
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time


def main(comfyui: str, base: str, pack: str) -> None:
    sys.path[0] = comfyui  # in place of this script's folder
    sys.argv = ["main.py", "--cpu", "--base-directory", base]
    import comfy.options

    comfy.options.enable_args_parsing()
    # what ComfyUI has loaded itself by the time it comes to custom nodes, in main.py's order
    for name in ("utils.extra_config", "server"):
        importlib.import_module(name)
    import nodes

    asyncio.run(nodes.init_builtin_extra_nodes())
    before, own = set(sys.modules), set(nodes.NODE_CLASS_MAPPINGS)
    started = time.process_time()
    loaded = asyncio.run(nodes.load_custom_node(pack))
    seconds = time.process_time() - started
    print(
        json.dumps(
            {
                "loaded": loaded,
                "processor_seconds": seconds,
                "modules": sorted(set(sys.modules) - before),
                "nodes": sorted(set(nodes.NODE_CLASS_MAPPINGS) - own),
                "web": sorted(nodes.EXTENSION_WEB_DIRS),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
