import { PortolanError } from "../../errors.ts";
import type { Instance, InstanceRef } from "../../instance.ts";
import type { BackendUrl } from "../url.ts";

/**
 * Where the instances lie in a store of keys and texts, and what is written there. Pure: a driver knows keys
 * and texts, and no format.
 */
export type Layout = RecordLayout | ListedLayout;

interface AnyLayout {
  readonly name: string;
  /** Below it, one segment deeper, stand the services; without a trailing slash. */
  readonly services: string;
  /** Below it stands what is Portolan's own: `nodes/<node>`. Nobody who reads the services sees it. */
  readonly root: string;
  /** The instance of a key and its text. Throws RECORD with the reason where there is none to be read. */
  read(key: string, text: string): Instance;
}

/** A layout whose texts are the whole records, each with its owner. */
export interface RecordLayout extends AnyLayout {
  readonly whole: true;
  keyOf(ref: InstanceRef): string;
}

/** A layout whose texts hold less: the owner lists what it holds in `nodes/<node>`. */
export interface ListedLayout extends AnyLayout {
  readonly whole: false;
  /** The key of an instance. Two instances may have the same one where the format cannot tell them apart. */
  keyOf(instance: Instance): string;
  /** The text of an instance; undefined where its state is one that the format cannot say. */
  textOf(instance: Instance): string | undefined;
}

/** The layouts that a backend has, each made for a URL. Throw BACKEND_URL for a path that they cannot use. */
export type Layouts<L extends Layout = Layout> = Readonly<Record<string, (url: BackendUrl) => L>>;

/** The layout that a URL asks for, else `usual`. Throws BACKEND_URL for one that the backend does not have. */
export function chooseLayout<L extends Layout>(url: BackendUrl, layouts: Layouts<L>, usual: string): L {
  const name = url.query.get("layout") ?? usual;
  const make = Object.hasOwn(layouts, name) ? layouts[name] : undefined;
  if (make) return make(url);
  const known = Object.keys(layouts).join(", ");
  throw refused(url, `layout "${name}" is not one that this backend has; it has ${known}`);
}

/** The error for a URL that a layout cannot use. */
export function refused(url: BackendUrl, why: string): PortolanError {
  return new PortolanError("BACKEND_URL", `backend "${url.title}": ${why}`);
}

/** The error for a key that holds no instance. */
export function unreadable(key: string, why: string): PortolanError {
  return new PortolanError("RECORD", `${key}: ${why}`);
}
