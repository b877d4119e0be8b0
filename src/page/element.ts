/** What may stand in an element. Texts become text nodes, so nothing that a container says is ever markup. */
export type Child = Node | string | number | false | undefined | null | readonly Child[];

/** Attributes by name; `true` writes an empty one, and false and undefined none. `key` tells siblings apart. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element of HTML. */
export function h(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): HTMLElement {
  return filled(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function s(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name === "key" ? "data-key" : name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element: Element, children: readonly Child[]): void {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (typeof child === "object" && !("nodeType" in child)) append(element, child);
    else element.append(typeof child === "number" ? String(child) : (child as Node | string));
  }
}
