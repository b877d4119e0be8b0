/**
 * Makes the children of `live` look like `next`, touching only what differs: what has the focus, is selected or
 * scrolled stays so. Elements with a `data-key` are matched by it, all others by their place.
 */
export function patch(live: Element, next: readonly Node[]): void {
  const keyed = new Map<string, Element>();
  for (const child of live.children) {
    const key = keyOf(child);
    if (key !== undefined) keyed.set(key, child);
  }
  let at: ChildNode | null = live.firstChild;
  for (const wanted of next) {
    const key = keyOf(wanted);
    const found = key === undefined ? (at && keyOf(at) === undefined ? at : undefined) : keyed.get(key);
    if (found && isAlike(found, wanted)) {
      update(found, wanted);
      if (found === at) at = at.nextSibling;
      else live.insertBefore(found, at);
    } else live.insertBefore(wanted, at);
  }
  while (at) {
    const after: ChildNode | null = at.nextSibling;
    at.remove();
    at = after;
  }
}

function keyOf(node: Node): string | undefined {
  return node instanceof Element ? (node.getAttribute("data-key") ?? undefined) : undefined;
}

const isAlike = (a: Node, b: Node) => a.nodeType === b.nodeType && a.nodeName === b.nodeName;

function update(live: Node, wanted: Node): void {
  if (!(live instanceof Element) || !(wanted instanceof Element)) {
    if (live.nodeValue !== wanted.nodeValue) live.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...live.attributes]) if (!wanted.hasAttribute(name)) live.removeAttribute(name);
  for (const { name, value } of wanted.attributes)
    if (live.getAttribute(name) !== value) live.setAttribute(name, value);
  patch(live, [...wanted.childNodes]);
}
