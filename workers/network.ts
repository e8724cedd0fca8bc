/** Entry of the network worker: Ethernet between the VMs of each group, and datagrams to their UDP ports. */
import type { NetworkApi, NetworkBoot } from '../src/protocol/network.ts';
import { serve } from '../src/threads/entry.ts';
import { Network } from './network/network.ts';

await serve<NetworkApi, NetworkBoot>(
  ({ data: { dropReportMs }, events }) => new Network(dropReportMs, (event) => events.postMessage(event)),
);
