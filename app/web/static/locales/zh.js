// 简体中文。
export default {
  'nav.make': '生成', 'nav.gallery': '作品', 'nav.models': '模型', 'nav.status': '状态',
  'nav.docs': '接口', 'nav.label': '工作室', skip: '跳到正文',
  seconds: '{n} 秒', minutes: '{n} 分钟', hours: '{n} 小时',
  'theme.label': '主题', 'theme.system': '跟随系统', 'theme.light': '浅色', 'theme.dark': '深色',
  'language.label': '语言', 'language.': '自动',
  'connection.lost': '服务没有响应，本页会自动重试。',
  close: '关闭', cancel: '取消', loading: '加载中……',

  'type.image': '图像', 'type.text-to-image': '文生图', 'type.video': '视频', 'type.audio': '音乐', 'type.story': '故事', 'type.embedding': '向量',

  'make.title': '生成内容', 'make.type': '生成什么', 'make.model': '模型', 'make.submit': '生成', 'make.shortcut': 'Ctrl + Enter',
  'make.advanced': '更多设置', 'make.share': '复制链接', 'make.shared': '此表单的链接已复制。', 'make.reset': '重置', 'make.changed': '已改 {n} 项',
  'make.watch': '正在运行与最近完成', 'make.idle': '目前没有任务。生成的内容会在这里逐步出现。',
  'make.importing': '此模型正在导入，请求会等到导入完成。', 'make.noModels': '这里还没有模型。请把检查点放进检查点文件夹。', 'make.limitations': '此模型的局限',

  'field.default': '默认', 'field.any': '任意', 'field.random': '随机', 'field.newSeed': '随机选一个种子', 'field.use': '使用',
  'field.oneALine': '每行一个。', 'field.json': '用 JSON 书写。', 'field.badJson': '这不是有效的 JSON。',
  'drop.image': '把图片拖到这里，或选择一张', 'drop.audio/midi': '把 MIDI 文件拖到这里，或选择一个', 'drop.other': '把文件拖到这里，或选择一个',
  'drop.choose': '选择文件', 'drop.remove': '移除', 'drop.busy': '上传中……', 'drop.mask': '绘制蒙版', 'drop.nowhere': '此模型不接受这种文件。',

  'mask.title': '绘制蒙版', 'mask.help': '涂抹要改变的部分。用键盘：方向键移动画笔，空格键涂抹。', 'mask.brush': '画笔', 'mask.erase': '擦除',
  'mask.clear': '清空', 'mask.invert': '反选', 'mask.done': '使用蒙版', 'mask.canvas': '图片；涂抹处将被改变', 'mask.needs': '请先添加图片，蒙版画在它上面。',

  'status.queued': '排队中', 'status.in_progress': '运行中', 'status.canceling': '正在取消', 'status.completed': '完成', 'status.failed': '失败', 'status.canceled': '已取消', 'status.expired': '已过期',
  'job.loading': '正在加载模型', 'job.importing': '正在导入模型',
  'job.ahead': '前面还有 {n} 个', 'job.next': '下一个', 'job.steps': '第 {step} 步，共 {steps} 步', 'job.left': '剩余 {time}',
  'job.open': '打开', 'job.again': '第 {n} 次尝试', 'job.preview': '{name} 的预览', 'job.listen': '边生成边听',

  'gallery.title': '作品', 'gallery.empty': '还没有作品。', 'gallery.emptyFiltered': '没有匹配的作品。', 'gallery.search': '请求中的词', 'gallery.type': '类型', 'gallery.all': '所有类型',
  'gallery.model': '模型', 'gallery.allModels': '所有模型', 'gallery.from': '从', 'gallery.to': '到', 'gallery.favourites': '收藏', 'gallery.select': '选择', 'gallery.selected': '已选 {n} 个',
  'gallery.download': '下载 ZIP', 'gallery.delete': '删除', 'gallery.none': '取消选择', 'gallery.confirm': '删除 {n} 个任务的作品？此操作无法撤销。', 'gallery.more': '正在查找……',
  'gallery.shown': '{n} 个作品', 'gallery.results': '作品', 'gallery.deleting': '删除中……', 'gallery.packing': '打包中……', favourite: '收藏', unfavourite: '取消收藏',

  'result.back': '作品', 'result.request': '请求', 'result.madeBy': '生成者', 'result.model': '模型', 'result.checkpoint': '检查点', 'result.seed': '种子', 'result.created': '时间', 'result.size': '大小',
  'result.file': '文件', 'result.hash': 'SHA-256', 'result.cost': '开销', 'result.waited': '等待', 'result.compute': '计算', 'result.determinism': '确定性', 'result.bitwise': '相同请求，相同字节', 'result.anyBits': '不同工作进程的比特可能不同',
  'result.expires': '保留至', 'result.again': '再次生成', 'result.same': '字节相同', 'result.different': '字节不同', 'result.running': '正在再次生成……', 'result.download': '下载', 'result.delete': '删除', 'result.copy': '复制', 'result.copied': '已复制',
  'result.code': '请求代码', 'result.others': '此任务的其他作品', 'result.expired': '此任务的文件已过期，但请求仍在。', 'result.zoomIn': '放大', 'result.zoomOut': '缩小', 'result.fit': '适合', 'result.compare': '比较……', 'result.compareThis': '与 {name} 比较',
  'result.pick': '打开另一个作品，再选择“比较”。', 'result.notes': '备注', 'result.version': '版本',
  'action.init_image.image': '变化', 'action.init_image.text-to-image': '变化', 'action.init_image.video': '动起来', 'action.score': '用作乐谱', 'action.primer': '续写', 'action.text': '续写', 'action.upscale': '放大', 'action.other': '用作 {field}', 'action.edit': '编辑请求',
  'compare.title': '比较', 'compare.slider': '两张图片的分界', 'compare.same': '两者字节相同。', 'compare.different': '两者字节不同。',

  'models.title': '模型', 'models.load': '加载', 'models.unload': '卸载', 'models.use': '使用', 'models.quality': '实测质量', 'models.licence': '许可', 'models.data': '数据', 'models.memory': '内存', 'models.file': '文件',
  'models.limits': '局限', 'models.sample': '由{name}生成', 'state.unloaded': '未加载', 'state.loading': '加载中', 'state.importing': '导入中', 'state.ready': '就绪', 'state.failed': '失败',

  'status.title': '状态', 'status.workers': '工作进程', 'status.queue': '队列', 'status.throughput': '最近一小时', 'status.version': '版本', 'status.noWorkers': '没有存活的工作进程。', 'status.noneWaiting': '没有等待的任务。',
  'status.perMinute': '最近一小时每分钟的任务数', 'status.total': '完成 {done} 个，失败 {failed} 个', 'status.waiting': '个等待', 'status.inFlight': '处理中', 'status.models': '模型', 'status.device': '设备',
  'status.scope': '此密钥没有 “metrics” 权限，因此不显示所有人的数据。', 'status.worker': '工作进程', 'status.none': '无', 'status.minutesAgo': '{n} 分钟前', 'status.now': '现在',

  'login.title': '登录', 'login.key': 'API 密钥', 'login.keep': '在此浏览器中保持登录', 'login.submit': '登录', 'login.help': '由 `atelier keys new` 生成的密钥，只保存在此浏览器中。', 'login.out': '退出', 'login.as': '以 {name} 登录',
  'notFound.title': '没有这个页面', 'notFound.link': '回到首页',

  'param.prompt': '提示词', 'param.negative_prompt': '反向提示词', 'param.style': '风格', 'param.steps': '步数', 'param.seed': '种子', 'param.n': '数量', 'param.sampler': '采样器', 'param.guidance_scale': '引导强度',
  'param.init_image': '参考图', 'param.mask': '蒙版', 'param.strength': '变化强度', 'param.upscale': '放大倍数', 'param.output_format': '文件格式', 'param.output_size': '输出尺寸', 'param.grid': '拼成一张', 'param.metadata': '自定义信息',
  'param.class_label': '类别', 'param.interpolate': '插值', 'param.temperature': '温度', 'param.truncation': '截断', 'param.attributes': '属性', 'param.prior': '先验', 'param.eta': '随机性 η', 'param.clip_guidance_scale': 'CLIP 引导强度', 'param.clip_guidance_every': 'CLIP 引导间隔',
  'param.frames': '帧数', 'param.fps': '帧率', 'param.repeat': '重复次数', 'param.loop': '循环', 'param.tempo': '速度', 'param.key': '调', 'param.score': '乐谱', 'param.primer': '开头乐谱', 'param.seconds': '时长（秒）', 'param.top_p': 'Top P', 'param.top_k': 'Top K', 'param.unconditioned': '无条件',
  'param.kind': '体裁', 'param.theme': '主题', 'param.form': '诗体', 'param.acrostic': '藏头', 'param.lines': '行数', 'param.title': '标题', 'param.text': '原文', 'param.messages': '对话', 'param.max_tokens': '最多词元', 'param.stop': '停止词', 'param.texts': '文本',
  'help.prompt': '想要的内容。模型不懂的词会在结果的备注中说明。', 'help.seed': '相同的请求总是得到相同的字节；留空则随机选取。', 'help.n': '生成几个。', 'help.steps': '去噪步数。', 'help.style': '以哪种风格生成；留空为任意。',
  'help.init_image': '以这张图片为起点。', 'help.mask': '只重画白色部分，需要参考图。', 'help.strength': '离参考图多远：0 几乎不变，1 几乎全新。', 'help.negative_prompt': '要避开的内容。', 'help.upscale': '宽和高各放大几倍。', 'help.class_label': '画什么；留空为任意。',
  'help.output_format': '文件格式。', 'help.output_size': '把结果缩放为 宽x高。', 'help.grid': '另外把所有图片拼成一张。', 'help.metadata': '自己的备注，随任务返回。', 'help.score': '演奏这个 MIDI 文件；留空则自动作曲。', 'help.seconds': '声音的长度。', 'help.tempo': '每分钟的四分音符数。',
  'help.frames': '视频的帧数。', 'help.kind': '故事或诗围绕提示词；续写接着原文；对话回答消息。', 'help.max_tokens': '最多写多少词元。', 'help.temperature': '越高越随意，0 最确定。', 'help.attributes': '沿这些方向移动。', 'help.truncation': '越小越典型，变化越少。',
};
