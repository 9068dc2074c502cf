"""Parses the blocks of HCL in documents. Whether the AWS provider knows what they
name, only terraform validate can tell, which needs HashiCorp's registry.

    python hcl.py docs/terraform.md ...
"""

import re
import sys

import hcl2

found = 0
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as f:
        text = f.read()
    for block in re.finditer(r"^```hcl\n(.*?)^```$", text, re.M | re.S):
        line = text[: block.start()].count("\n") + 1
        try:
            parsed = hcl2.loads(block[1])
        except Exception as error:
            sys.exit(f"{name}:{line}: not HCL: {error}")
        for resource in parsed.get("resource", []):
            found += len(resource)
print(f"{found} resources in HCL parse")
if not found:
    sys.exit("no document has HCL")
