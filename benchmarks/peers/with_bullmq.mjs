// BullMQ at work, called the way its documentation calls it. One JSON line per answer on stdout.
//   node with_bullmq.mjs create --seconds 4 --clients 32
//   node with_bullmq.mjs bulk   --seconds 4 --clients 4 --size 500
//   node with_bullmq.mjs fire   --url URL --count 5000 --spacing 0 --lead 3000 --workers 50
// PEER_ADDRESS in the environment is the Redis, with its password.
import { parseArgs } from "node:util";
import { Queue, Worker } from "bullmq";
import { Agent, request } from "undici";

const DAY = 86_400_000;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string" },
    seconds: { type: "string", default: "4" },
    clients: { type: "string", default: "32" },
    share: { type: "string", default: "no" },
    size: { type: "string", default: "500" },
    count: { type: "string", default: "5000" },
    spacing: { type: "string", default: "0" },
    lead: { type: "string", default: "3000" },
    workers: { type: "string", default: "50" },
  },
});
const address = new URL(process.env.PEER_ADDRESS);
const connection = { host: address.hostname, port: Number(address.port), password: address.password };
const newQueue = () =>
  new Queue("timers", { connection, defaultJobOptions: { attempts: 3, removeOnComplete: true } });
const queue = newQueue();
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const meta = (n) => ({ n, order: `order-${n}`, note: "payment timeout: release what was reserved" });
const laterThisMonth = () => Math.floor(DAY + Math.random() * 29 * DAY);
const run = Date.now().toString(36);
let created = 0;

async function addOne(queue) {
  const n = created++;
  await queue.add("fire", meta(n), { jobId: `job-${run}-${n}`, delay: laterThisMonth() });
  return 1;
}

async function addMany(queue) {
  const size = Number(values.size);
  const first = created;
  created += size;
  await queue.addBulk(
    Array.from({ length: size }, (_, i) => ({
      name: "fire",
      data: meta(first + i),
      opts: { jobId: `job-${run}-${first + i}`, delay: laterThisMonth() },
    })),
  );
  return size;
}

async function measure(step) {
  const queues = Array.from({ length: values.share === "yes" ? 1 : Number(values.clients) }, newQueue);
  await Promise.all(queues.map((queue) => step(queue)));
  const cpu = process.cpuUsage();
  const began = performance.now();
  const until = began + Number(values.seconds) * 1000;
  let done = 0;
  const client = async (_, i) => {
    while (performance.now() < until) {
      const added = await step(queues[i % queues.length]);
      done += added;
    }
  };
  await Promise.all(Array.from({ length: Number(values.clients) }, client));
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  say({ done, seconds, cpu: (user + system) / 1e6 });
  await Promise.all(queues.map((queue) => queue.close()));
}

async function addDue(count, due, spacing) {
  for (let first = 0; first < count; first += 500) {
    const size = Math.min(500, count - first);
    const now = Date.now();
    await queue.addBulk(
      Array.from({ length: size }, (_, i) => ({
        name: "fire",
        data: meta(first + i),
        opts: { jobId: `due-${run}-${first + i}`, timestamp: now, delay: due + (first + i) * spacing - now },
      })),
    );
  }
}

async function fire() {
  const workers = Number(values.workers);
  const agent = new Agent({ connections: workers, pipelining: 1 });
  const post = async (job) => {
    const { statusCode, body } = await request(values.url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(job.data),
      dispatcher: agent,
    });
    await body.dump();
    if (statusCode !== 200) throw new Error(`the receiver answered ${statusCode}`);
  };
  const worker = new Worker("timers", post, { connection, concurrency: workers });
  await worker.waitUntilReady();
  const due = Date.now() + Number(values.lead);
  await addDue(Number(values.count), due, Number(values.spacing));
  say({ due, spare: due - Date.now() });
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
  await worker.close();
  await agent.close();
}

await queue.waitUntilReady();
const works = { create: () => measure(addOne), bulk: () => measure(addMany), fire };
await works[positionals[0]]();
await queue.close();
