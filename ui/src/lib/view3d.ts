/**
 * The cell in space: exactly the shapes that the distance is computed with, drawn by three.js.
 *
 * A chunk of its own, loaded after the page's words and figures. It draws when something changed, at
 * most thirty times a second and always the newest; it computes no distance.
 */
import {
  AmbientLight,
  BoxGeometry,
  BufferGeometry,
  CapsuleGeometry,
  type Camera,
  Color,
  ConeGeometry,
  CylinderGeometry,
  DirectionalLight,
  Float32BufferAttribute,
  Group,
  HemisphereLight,
  LineBasicMaterial,
  LineSegments,
  MOUSE,
  type Material,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  MeshLambertMaterial,
  OrthographicCamera,
  PerspectiveCamera,
  Quaternion,
  Scene as Space,
  SphereGeometry,
  TOUCH,
  Vector3,
  WebGLRenderer,
} from 'three';
import { OrbitControls } from 'three/addons/controls/OrbitControls.js';
import type { PlacedCapsule } from './kinematics.ts';
import type { Obstacle, Vector } from './status.ts';

export type ViewName = 'orbit' | 'top' | 'front';

/** Colours of the style sheet, by what they paint. */
export interface Colours {
  ground: string;
  shadow: string;
  grid: string;
  robot: string;
  joint: string;
  deciding: string;
  person: string;
  fixture: string;
  /** The deciding pair's line: in the colour of the state. */
  pair: string;
}

export interface Picture {
  robots: { capsules: PlacedCapsule[]; deciding: string | undefined }[];
  obstacles: Obstacle[];
  fixtures: Obstacle[];
  pair: { onRobot: Vector; onObstacle: Vector; protective_m: number | undefined } | undefined;
}

/** No screen of a panel shows more, and a Pi has other things to do. */
const FRAME_MS = 1000 / 30;
/** The light falls along this: shadows tell where above the floor a shape is. */
const LIGHT = new Vector3(-0.35, 0.5, -1);
const FLOOR_M = 8;
/** How far things that stand far away may move the camera back. */
const REACH_MAX_M = 9;
/** Nobody looks from below the floor. */
const LOWEST_RAD = Math.PI / 2 - 0.02;
const UP = new Vector3(0, 0, 1);
const ALONG_CAPSULE = new Vector3(0, 1, 0);
/** Shadows are flat, and what lies on them is not in one plane with them. */
const SHADOW_Z = 0.002;
const GRID_Z = 0.006;
/** A source may change sizes as it likes: so many are kept at most. */
const GEOMETRIES_MAX = 200;

export class View3d {
  readonly #renderer: WebGLRenderer;
  readonly #space = new Space();
  readonly #perspective = new PerspectiveCamera(38, 1, 0.1, 100);
  readonly #flat = new OrthographicCamera(-1, 1, 1, -1, 0.1, 100);
  readonly #controls: OrbitControls;
  readonly #robots = new Group();
  readonly #obstacles = new Group();
  readonly #fixtures = new Group();
  readonly #grid = new BufferGeometry();
  readonly #pair = new Group();
  readonly #materials: Record<keyof Colours, Material & { color: Color }>;
  readonly #onLabel: (place: { x: number; y: number } | undefined) => void;
  #camera: Camera = this.#perspective;
  #view: ViewName = 'orbit';
  #middle = new Vector3();
  #labelAt: Vector3 | undefined;
  #width = 1;
  #height = 1;
  #wanted = false;
  #drawn_ms = 0;
  #timer = 0;
  #fixturesShown: readonly Obstacle[] | undefined;
  /** Shapes keep their sizes while they move, so each is made once. */
  readonly #geometries = new Map<string, BufferGeometry>();
  #framed = false;
  /** Half of what has to be in sight, in metres. */
  #reach_m = 4;

  /** Throws where the browser has no WebGL. */
  constructor(
    canvas: HTMLCanvasElement,
    onLabel: (place: { x: number; y: number } | undefined) => void,
  ) {
    this.#onLabel = onLabel;
    this.#renderer = new WebGLRenderer({ canvas, antialias: true, powerPreference: 'low-power' });
    this.#renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    const solid = (): MeshLambertMaterial => new MeshLambertMaterial();
    this.#materials = {
      ground: new MeshBasicMaterial(),
      shadow: new MeshBasicMaterial(),
      grid: new LineBasicMaterial(),
      robot: solid(),
      joint: solid(),
      deciding: solid(),
      person: solid(),
      fixture: solid(),
      pair: new MeshBasicMaterial({ depthTest: false, transparent: true }),
    };
    const sun = new DirectionalLight(0xffffff, 2.1);
    sun.position.copy(LIGHT).multiplyScalar(-10);
    const sky = new HemisphereLight(0xffffff, 0x8a949b, 1.1);
    sky.position.copy(UP);
    this.#space.add(sun, sky, new AmbientLight(0xffffff, 0.55));
    this.#space.add(this.#robots, this.#obstacles, this.#fixtures, this.#pair);
    this.#layFloor();
    this.#perspective.up.copy(UP);
    this.#controls = new OrbitControls(this.#perspective, canvas);
    this.#controls.addEventListener('change', () => this.draw());
    this.#controls.minDistance = 1;
    this.#controls.maxDistance = 30;
    canvas.addEventListener('webglcontextrestored', () => this.draw());
    this.view('orbit');
  }

  colour(colours: Colours): void {
    for (const [name, colour] of Object.entries(colours)) {
      this.#materials[name as keyof Colours].color.set(colour);
    }
    this.#space.background = new Color(colours.ground);
    this.draw();
  }

  resize(width: number, height: number): void {
    if (width === 0 || height === 0) return;
    this.#width = width;
    this.#height = height;
    this.#renderer.setSize(width, height, false);
    this.#perspective.aspect = width / height;
    this.#perspective.updateProjectionMatrix();
    this.#fitFlat();
    if (!this.#framed) this.view(this.#view);
    this.draw();
  }

  show(picture: Picture): void {
    this.#showRobots(picture);
    if (this.#fixturesShown !== picture.fixtures) {
      this.#fixturesShown = picture.fixtures;
      this.#fixtures.clear();
      for (const each of picture.fixtures) this.#put(this.#fixtures, each, 'fixture');
    }
    this.#obstacles.clear();
    for (const each of picture.obstacles) {
      this.#put(this.#obstacles, each, 'person');
      this.#arrow(each);
    }
    this.#showPair(picture.pair);
    if (!this.#framed) this.#frame(picture);
    this.draw();
  }

  view(name: ViewName): void {
    this.#view = name;
    const far = this.#reach_m;
    const [x, y, z] = this.#middle.toArray();
    this.#camera = name === 'orbit' ? this.#perspective : this.#flat;
    this.#controls.object = this.#camera as PerspectiveCamera | OrthographicCamera;
    this.#controls.enableRotate = name === 'orbit';
    // A flat picture is moved where the other one is turned.
    this.#controls.mouseButtons.LEFT = name === 'orbit' ? MOUSE.ROTATE : MOUSE.PAN;
    this.#controls.touches.ONE = name === 'orbit' ? TOUCH.ROTATE : TOUCH.PAN;
    this.#controls.maxPolarAngle = name === 'orbit' ? LOWEST_RAD : Math.PI;
    this.#controls.target.set(x, y, name === 'top' ? 0 : z);
    if (name === 'orbit') {
      // Narrow pictures are looked at from farther away, so that nothing is cut off at the sides.
      const narrow = Math.min(1, this.#perspective.aspect / 1.5);
      const distance = (far * 1.75) / Math.max(0.3, narrow ** 1.8);
      this.#perspective.position.set(x + distance * 0.72, y - distance * 0.5, z + distance * 0.42);
    } else {
      this.#flat.zoom = 1;
      this.#flat.up.set(name === 'top' ? 1 : 0, 0, name === 'top' ? 0 : 1);
      // From above the robot looks up the page; from the front it looks at who stands there.
      if (name === 'top') this.#flat.position.set(x, y, 40);
      else this.#flat.position.set(x + 40, y, z);
      this.#fitFlat();
    }
    this.#camera.lookAt(this.#controls.target);
    this.#controls.update();
    this.draw();
  }

  /** Turns by so many steps to the side and up. */
  turn(side: number, up: number): void {
    if (this.#view !== 'orbit') return;
    const away = this.#perspective.position.clone().sub(this.#controls.target);
    const across = new Vector3().crossVectors(UP, away).normalize();
    away.applyAxisAngle(UP, side * 0.15);
    const tilted = away.clone().applyAxisAngle(across, -up * 0.12);
    const slope = tilted.angleTo(UP);
    if (slope > 0.1 && slope < LOWEST_RAD) away.copy(tilted);
    this.#perspective.position.copy(this.#controls.target).add(away);
    this.#controls.update();
    this.draw();
  }

  zoom(factor: number): void {
    if (this.#view === 'orbit') {
      const away = this.#perspective.position.clone().sub(this.#controls.target);
      away.setLength(Math.min(30, Math.max(1, away.length() / factor)));
      this.#perspective.position.copy(this.#controls.target).add(away);
    } else {
      this.#flat.zoom = Math.min(10, Math.max(0.2, this.#flat.zoom * factor));
      this.#flat.updateProjectionMatrix();
    }
    this.#controls.update();
    this.draw();
  }

  /** Draws soon: at once, or when the pace allows it. */
  draw(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    const wait_ms = Math.max(0, this.#drawn_ms + FRAME_MS - performance.now());
    this.#timer = window.setTimeout(() => requestAnimationFrame(() => this.#render()), wait_ms);
  }

  dispose(): void {
    window.clearTimeout(this.#timer);
    this.#wanted = true;
    this.#forgetGeometries();
    this.#grid.dispose();
    for (const material of Object.values(this.#materials)) material.dispose();
    this.#controls.dispose();
    this.#renderer.dispose();
  }

  #render(): void {
    this.#wanted = false;
    this.#drawn_ms = performance.now();
    this.#camera.updateMatrixWorld();
    this.#renderer.render(this.#space, this.#camera);
    if (!this.#labelAt) return this.#onLabel(undefined);
    const at = this.#labelAt.clone().project(this.#camera);
    this.#onLabel({
      x: ((at.x + 1) / 2) * this.#width,
      y: ((1 - at.y) / 2) * this.#height,
    });
  }

  /** What there is decides once how much is in sight; what moves later doesn't move the camera. */
  #frame(picture: Picture): void {
    const points = picture.robots.flatMap(({ capsules }) => capsules.flatMap(({ a, b }) => [a, b]));
    if (points.length === 0) return;
    this.#framed = true;
    const robot = points.reduce((sum, [x, y]) => [sum[0]! + x, sum[1]! + y], [0, 0]);
    const centre = new Vector3(robot[0]! / points.length, robot[1]! / points.length, 0);
    const people = picture.obstacles.map((each) => new Vector3(...placeOf(each)).setZ(0));
    const spread = [...points.map((point) => new Vector3(...point).setZ(0)), ...people];
    const far = Math.max(2.6, ...spread.map((point) => point.distanceTo(centre) + 0.4));
    this.#reach_m = Math.min(far, REACH_MAX_M);
    this.#middle.copy(centre).setZ(0.9);
    this.view(this.#view);
  }

  #fitFlat(): void {
    const aspect = this.#width / this.#height;
    const half = this.#reach_m * (this.#view === 'front' ? 0.72 : 1.08);
    const high = Math.max(half, (this.#reach_m * 1.08) / aspect);
    this.#flat.left = -high * aspect;
    this.#flat.right = high * aspect;
    this.#flat.top = high;
    this.#flat.bottom = -high;
    this.#flat.updateProjectionMatrix();
  }

  #showRobots(picture: Picture): void {
    this.#robots.clear();
    for (const { capsules, deciding } of picture.robots) {
      for (const [index, capsule] of capsules.entries()) {
        const plain = index % 2 === 0 ? 'robot' : 'joint';
        this.#capsule(this.#robots, capsule, capsule.name === deciding ? 'deciding' : plain);
      }
    }
  }

  #put(group: Group, obstacle: Obstacle, paint: keyof Colours): void {
    if (obstacle.kind === 'box') {
      const { size } = obstacle;
      const shape = this.#geometry(`box ${size.join()}`, () => new BoxGeometry(...size));
      const box = new Mesh(shape, this.#materials[paint]);
      box.position.set(...obstacle.center);
      this.#add(group, box);
      return;
    }
    const [a, b] =
      obstacle.kind === 'sphere' ? [obstacle.center, obstacle.center] : [obstacle.a, obstacle.b];
    this.#capsule(group, { name: obstacle.id, a, b, radius: obstacle.radius }, paint);
  }

  #capsule(group: Group, { a, b, radius }: PlacedCapsule, paint: keyof Colours): void {
    const from = new Vector3(...a);
    const along = new Vector3(...b).sub(from);
    // To a tenth of a millimetre: below that it is noise of the computation.
    const length = Math.round(along.length() * 1e4) / 1e4;
    const geometry = this.#geometry(`capsule ${radius},${length}`, () =>
      length === 0
        ? new SphereGeometry(radius, 32, 20)
        : new CapsuleGeometry(radius, length, 10, 32),
    );
    const mesh = new Mesh(geometry, this.#materials[paint]);
    mesh.position.copy(from).addScaledVector(along, 0.5);
    if (length > 0) {
      mesh.quaternion.setFromUnitVectors(ALONG_CAPSULE, along.clone().normalize());
    }
    this.#add(group, mesh);
  }

  /** The shape, and its shadow on the floor. */
  #add(group: Group, mesh: Mesh): void {
    group.add(mesh);
    mesh.updateMatrix();
    const shadow = new Mesh(mesh.geometry, this.#materials.shadow);
    shadow.matrixAutoUpdate = false;
    shadow.matrix.multiplyMatrices(flattened(), mesh.matrix);
    group.add(shadow);
  }

  /** Where it goes within a second, as the source says. */
  #arrow(obstacle: Obstacle): void {
    const velocity = new Vector3(...(obstacle.velocity ?? [0, 0, 0]));
    const speed = velocity.length();
    if (speed < 0.05) return;
    const direction = velocity.clone().normalize();
    const turn = new Quaternion().setFromUnitVectors(ALONG_CAPSULE, direction);
    const base = new Vector3(...placeOf(obstacle)).setZ(0.03);
    const start = obstacle.kind === 'box' ? 0 : obstacle.radius;
    const shaft = this.#cylinder(0.03, speed, 'person');
    shaft.quaternion.copy(turn);
    shaft.position.copy(base).addScaledVector(direction, start + speed / 2);
    const cone = this.#geometry('cone', () => new ConeGeometry(0.11, 0.24, 16));
    const tip = new Mesh(cone, this.#materials.person);
    tip.quaternion.copy(turn);
    tip.position.copy(base).addScaledVector(direction, start + speed + 0.12);
    this.#obstacles.add(shaft, tip);
  }

  /** From surface to surface; thick as far as the protective distance reaches. */
  #showPair(pair: Picture['pair']): void {
    this.#pair.clear();
    this.#labelAt = undefined;
    if (!pair) return;
    const from = new Vector3(...pair.onRobot);
    const to = new Vector3(...pair.onObstacle);
    const along = to.clone().sub(from);
    const length = along.length();
    this.#labelAt = from.clone().addScaledVector(along, 0.5);
    const ends = [from, to].map((at) => {
      const shape = this.#geometry('ball', () => new SphereGeometry(0.055, 16, 12));
      const ball = new Mesh(shape, this.#materials.pair);
      ball.position.copy(at);
      return ball;
    });
    this.#pair.add(...ends);
    if (length > 1e-4) {
      const direction = along.clone().normalize();
      this.#rod(from, direction, length, 0.014);
      this.#rod(from, direction, Math.min(length, pair.protective_m ?? 0), 0.034);
    }
    for (const each of this.#pair.children) each.renderOrder = 1;
  }

  #rod(from: Vector3, direction: Vector3, length: number, radius: number): void {
    if (length <= 0) return;
    const rod = this.#cylinder(radius, length, 'pair');
    rod.quaternion.setFromUnitVectors(ALONG_CAPSULE, direction);
    rod.position.copy(from).addScaledVector(direction, length / 2);
    this.#pair.add(rod);
  }

  /** Stretched from one of length one. */
  #cylinder(radius: number, length: number, paint: keyof Colours): Mesh {
    const shape = this.#geometry(
      `cylinder ${radius}`,
      () => new CylinderGeometry(radius, radius, 1, 12),
    );
    const mesh = new Mesh(shape, this.#materials[paint]);
    mesh.scale.y = length;
    return mesh;
  }

  #geometry(key: string, make: () => BufferGeometry): BufferGeometry {
    if (this.#geometries.size > GEOMETRIES_MAX) this.#forgetGeometries();
    let geometry = this.#geometries.get(key);
    if (!geometry) this.#geometries.set(key, (geometry = make()));
    return geometry;
  }

  /** What is still shown of them is uploaded again when it is drawn. */
  #forgetGeometries(): void {
    for (const geometry of this.#geometries.values()) geometry.dispose();
    this.#geometries.clear();
  }

  /** One line a metre. */
  #layFloor(): void {
    const points: number[] = [];
    for (let at = -FLOOR_M; at <= FLOOR_M; at++) {
      points.push(at, -FLOOR_M, GRID_Z, at, FLOOR_M, GRID_Z);
      points.push(-FLOOR_M, at, GRID_Z, FLOOR_M, at, GRID_Z);
    }
    this.#grid.setAttribute('position', new Float32BufferAttribute(points, 3));
    this.#space.add(new LineSegments(this.#grid, this.#materials.grid));
  }
}

function placeOf(obstacle: Obstacle): Vector {
  return obstacle.kind === 'capsule' ? obstacle.a : obstacle.center;
}

/** Everything onto the floor, along the light. */
function flattened(): Matrix4 {
  const [x, y] = [LIGHT.x / LIGHT.z, LIGHT.y / LIGHT.z];
  return new Matrix4().set(1, 0, -x, 0, 0, 1, -y, 0, 0, 0, 0, SHADOW_Z, 0, 0, 0, 1);
}
