// fast-check, with values that are the same in each run: `npm test` does not depend on luck. The soak tries others.
import fc from "fast-check";

fc.configureGlobal({ seed: Number(process.env.PORTOLAN_TEST_SEED ?? 1) });

export default fc;
