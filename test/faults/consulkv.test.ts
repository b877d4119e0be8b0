import { consulkvStore } from "./consul-store.ts";
import { contentFaults } from "./content.ts";
import { networkFaults } from "./network.ts";
import { processFaults } from "./process.ts";
import { rightsFaults } from "./rights.ts";

networkFaults(consulkvStore);
processFaults(consulkvStore);
contentFaults(consulkvStore);
rightsFaults(consulkvStore);
