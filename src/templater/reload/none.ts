import type { Reloader } from "./reloader.ts";

/** For programs that watch their file themselves: the swap is the acceptance. */
export const none: Reloader = async () => ({ accepted: "reload" });
