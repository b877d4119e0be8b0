import { createConnection, type Socket } from "node:net";

/** A conversation with one worker of HAProxy: whatever is reloaded meanwhile, the same one answers. */
export interface Session {
  /** The answer to a command, without the line ends around it. Rejects when the worker is gone. */
  ask(command: string): Promise<string>;
  close(): void;
}

const prompt = "\n> ";

/**
 * Opens a conversation with a `stats socket` (see "prompt" in HAProxy's management guide). Rejects with Node's
 * own errors when nobody listens, and with the reason of `signal` when it aborts; so do the questions.
 */
export async function openSession(path: string, signal: AbortSignal): Promise<Session> {
  const socket = await connect(path, signal);
  let waiting: { resolve(answer: string): void; reject(error: Error): void } | undefined;
  let received = "";
  let ended: Error | undefined;
  const end = (error: Error) => {
    ended ??= error;
    waiting?.reject(ended);
    waiting = undefined;
    signal.removeEventListener("abort", aborted);
    socket.destroy();
  };
  const aborted = () => end(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  signal.addEventListener("abort", aborted, { once: true });
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    received += text;
    if (!received.endsWith(prompt)) return;
    waiting?.resolve(received.slice(0, -prompt.length).trim());
    waiting = undefined;
    received = "";
  });
  socket.once("error", end);
  socket.once("close", () => end(new Error(`${path} was closed`)));
  if (signal.aborted) aborted();

  const ask = (command: string) =>
    new Promise<string>((resolve, reject) => {
      if (ended) return reject(ended);
      waiting = { resolve, reject };
      socket.write(`${command}\n`);
    });
  await ask("prompt");
  return { ask, close: () => end(new Error(`${path} was closed`)) };
}

/**
 * One command to a socket, and the whole answer. A connection that ends early gives what was said until then:
 * the master of 2.6 drops it while it reloads.
 */
export async function askOnce(path: string, command: string, signal: AbortSignal): Promise<string> {
  const socket = await connect(path, signal);
  return new Promise((resolve, reject) => {
    let answer = "";
    const finish = () => {
      signal.removeEventListener("abort", aborted);
      socket.destroy();
    };
    const aborted = () => {
      finish();
      reject(signal.reason);
    };
    signal.addEventListener("abort", aborted, { once: true });
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
    });
    const done = () => {
      finish();
      resolve(answer.trim());
    };
    socket.once("end", done);
    socket.once("close", done);
    socket.once("error", done);
    if (signal.aborted) return aborted();
    // Half-closed: the master keeps a connection open that might bring another command.
    socket.end(`${command}\n`);
  });
}

function connect(path: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const aborted = () => {
      socket.destroy();
      reject(signal.reason);
    };
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted, { once: true });
    socket.once("connect", () => {
      signal.removeEventListener("abort", aborted);
      socket.removeListener("error", failed);
      resolve(socket);
    });
    const failed = (error: Error) => {
      signal.removeEventListener("abort", aborted);
      reject(error);
    };
    socket.once("error", failed);
  });
}
